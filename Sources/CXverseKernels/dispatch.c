// dispatch.c -- which kernels each instruction set has, and which sets this CPU can run.
#include "kernels.h"
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

// Products with float weights, and with those that a set has kernels of its own for.
#define FLOAT_PRODUCTS(isa) \
  [XVK_F32] = xvk_gemm_f32_f32_##isa, [XVK_F16] = xvk_gemm_f32_f16_##isa, [XVK_BF16] = xvk_gemm_f32_bf16_##isa
#define QUANTIZED_PRODUCTS(isa) \
  [XVK_INT8] = xvk_gemm_s16_int8_##isa, [XVK_INT4] = xvk_gemm_s8_int4_##isa, [XVK_INT4_F16] = xvk_gemm_s8_int4_f16_##isa

// All but the products with weights.
#define REFERENCE_KERNELS                                                                                           \
  .widen = {[XVK_F32] = xvk_widen_f32_f32_reference,                                                                \
            [XVK_F16] = xvk_widen_f32_f16_reference,                                                                \
            [XVK_BF16] = xvk_widen_f32_bf16_reference},                                                             \
  .pack_s16 = xvk_pack_s16_reference, .pack_s8 = xvk_pack_s8_reference, .pack_tile = 4,                             \
  .quantize_int8 = xvk_quantize_int8_reference, .quantize_int4 = xvk_quantize_int4_reference,                       \
  .gptq_int8 = xvk_gptq_int8_reference, .gptq_int4 = xvk_gptq_int4_reference, .rmsnorm = xvk_rmsnorm_f32_reference, \
  .rope = xvk_rope_f32_reference, .swiglu = xvk_swiglu_f32_reference, .add = xvk_add_f32_reference,                 \
  .logsumexp = xvk_logsumexp_f32_reference,                                                                         \
  .kv_store = {[XVK_F32] = xvk_kv_store_f32_reference,                                                              \
               [XVK_F16] = xvk_kv_store_f16_reference,                                                              \
               [XVK_INT8] = xvk_kv_store_int8_reference},                                                           \
  .attention = {[XVK_F32] = xvk_attention_f32_f32_reference,                                                        \
                [XVK_F16] = xvk_attention_f32_f16_reference,                                                        \
                [XVK_INT8] = xvk_attention_f32_int8_reference},                                                     \
  .attention_merge = xvk_attention_merge_reference

static const xvk_table reference = {
    .gemm = {FLOAT_PRODUCTS(reference), QUANTIZED_PRODUCTS(reference)},
    REFERENCE_KERNELS,
};

#if defined(__x86_64__)
// Where a name ends in _reference, plain C is as fast: the operation is bound by memory or a sliver of a layer. A set has
// kernels of its own where they pay and those of a lesser set elsewhere.
#define AVX2_KERNELS                                                                           \
  .widen = {[XVK_F32] = xvk_widen_f32_f32_reference,                                           \
            [XVK_F16] = xvk_widen_f32_f16_avx2,                                                \
            [XVK_BF16] = xvk_widen_f32_bf16_avx2},                                             \
  .pack_s16 = xvk_pack_s16_avx2, .pack_s8 = xvk_pack_s8_avx2, .rmsnorm = xvk_rmsnorm_f32_avx2, \
  .rope = xvk_rope_f32_reference, .swiglu = xvk_swiglu_f32_avx2, .add = xvk_add_f32_reference, \
  .logsumexp = xvk_logsumexp_f32_avx2,                                                         \
  .kv_store = {                                                                                \
      [XVK_F32] = xvk_kv_store_f32_avx2, [XVK_F16] = xvk_kv_store_f16_avx2, [XVK_INT8] = xvk_kv_store_int8_avx2}

#define AVX2_ATTENTION                                     \
  .attention = {[XVK_F32] = xvk_attention_f32_f32_avx2,    \
                [XVK_F16] = xvk_attention_f32_f16_avx2,    \
                [XVK_INT8] = xvk_attention_f32_int8_avx2}, \
  .attention_merge = xvk_attention_merge_avx2

#define AVX2_QUANTIZATION                                                                                            \
  .quantize_int8 = xvk_quantize_int8_avx2, .quantize_int4 = xvk_quantize_int4_avx2, .gptq_int8 = xvk_gptq_int8_avx2, \
  .gptq_int4 = xvk_gptq_int4_avx2

static const xvk_table avx2 = {
    .gemm = {FLOAT_PRODUCTS(avx2), QUANTIZED_PRODUCTS(avx2)},
    .pack_f32 = xvk_pack_f32_avx2,
    .pack_tile = 4,
    AVX2_QUANTIZATION,
    AVX2_KERNELS,
    AVX2_ATTENTION,
};

static const xvk_table avxvnni = {
    .gemm = {FLOAT_PRODUCTS(avx2), QUANTIZED_PRODUCTS(avxvnni)},
    .pack_f32 = xvk_pack_f32_avx2,
    .pack_tile = 6,
    AVX2_QUANTIZATION,
    AVX2_KERNELS,
    AVX2_ATTENTION,
};

static const xvk_table avx512 = {
    .gemm = {FLOAT_PRODUCTS(avx512), QUANTIZED_PRODUCTS(avx512)},
    .pack_f32 = xvk_pack_f32_avx512,
    .pack_tile = 6,
    .pack_has_exponents = 1,
    .quantize_int8 = xvk_quantize_int8_avx512,
    .quantize_int4 = xvk_quantize_int4_avx512,
    .gptq_int8 = xvk_gptq_int8_avx512,
    .gptq_int4 = xvk_gptq_int4_avx512,
    AVX2_KERNELS,
    .attention = {[XVK_F32] = xvk_attention_f32_f32_avx512,
                  [XVK_F16] = xvk_attention_f32_f16_avx512,
                  [XVK_INT8] = xvk_attention_f32_int8_avx512},
    .attention_merge = xvk_attention_merge_avx512,
};

static int cpu_has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

static int cpu_has_avxvnni(void) { return cpu_has_avx2() && __builtin_cpu_supports("avxvnni"); }

static int cpu_has_avx512(void) {
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}
#endif

#if defined(__aarch64__)
// Where a name ends in _reference, plain C is as fast: the compiler turns these loops to NEON by itself.
#define NEON_KERNELS                                                                                               \
  .widen = {[XVK_F32] = xvk_widen_f32_f32_reference,                                                               \
            [XVK_F16] = xvk_widen_f32_f16_neon,                                                                    \
            [XVK_BF16] = xvk_widen_f32_bf16_neon},                                                                 \
  .pack_s16 = xvk_pack_s16_neon, .pack_s8 = xvk_pack_s8_neon, .pack_tile = 4,                                      \
  .quantize_int8 = xvk_quantize_int8_reference, .quantize_int4 = xvk_quantize_int4_reference,                      \
  .gptq_int8 = xvk_gptq_int8_reference, .gptq_int4 = xvk_gptq_int4_reference, .rmsnorm = xvk_rmsnorm_f32_neon,     \
  .rope = xvk_rope_f32_reference, .swiglu = xvk_swiglu_f32_neon, .add = xvk_add_f32_reference,                     \
  .logsumexp = xvk_logsumexp_f32_neon,                                                                             \
  .kv_store =                                                                                                      \
      {[XVK_F32] = xvk_kv_store_f32_neon, [XVK_F16] = xvk_kv_store_f16_neon, [XVK_INT8] = xvk_kv_store_int8_neon}, \
  .attention = {[XVK_F32] = xvk_attention_f32_f32_neon,                                                            \
                [XVK_F16] = xvk_attention_f32_f16_neon,                                                            \
                [XVK_INT8] = xvk_attention_f32_int8_neon},                                                         \
  .attention_merge = xvk_attention_merge_neon

static const xvk_table neon = {
    .gemm = {FLOAT_PRODUCTS(neon), QUANTIZED_PRODUCTS(neon)},
    .pack_f32 = xvk_pack_f32_neon,
    NEON_KERNELS,
};

static int cpu_has_dot_products(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#endif

const xvk_table *xvk_table_for(int32_t isa) {
  switch (isa) {
    case XVK_ISA_REFERENCE:
      return &reference;
#if defined(__x86_64__)
    case XVK_ISA_AVX2:
      return cpu_has_avx2() ? &avx2 : NULL;
    case XVK_ISA_AVXVNNI:
      return cpu_has_avxvnni() ? &avxvnni : NULL;
    case XVK_ISA_AVX512:
      return cpu_has_avx512() ? &avx512 : NULL;
#endif
#if defined(__aarch64__)
    case XVK_ISA_NEON:
      return cpu_has_dot_products() ? &neon : NULL;
#endif
    default:
      return NULL;
  }
}

int32_t xvk_best_isa(void) {
  static const int32_t from_best[] = {XVK_ISA_AVX512, XVK_ISA_AVXVNNI, XVK_ISA_AVX2, XVK_ISA_NEON};
  for (size_t i = 0; i < sizeof from_best / sizeof *from_best; ++i)
    if (xvk_table_for(from_best[i])) return from_best[i];
  return XVK_ISA_REFERENCE;
}

const char *xvk_isa_name(int32_t isa) {
  switch (isa) {
    case XVK_ISA_REFERENCE:
      return "reference";
    case XVK_ISA_AVX2:
      return "avx2";
    case XVK_ISA_AVXVNNI:
      return "avxvnni";
    case XVK_ISA_AVX512:
      return "avx512";
    case XVK_ISA_NEON:
      return "neon";
    default:
      return NULL;
  }
}
