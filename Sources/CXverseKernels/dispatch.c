// dispatch.c -- which kernels each instruction set has, and which sets this CPU can run.
#include "kernels.h"

static const xvk_table reference = {
    .gemm = {xvk_gemm_f32_f32_reference, xvk_gemm_f32_f16_reference, xvk_gemm_f32_bf16_reference},
    .widen = {xvk_widen_f32_f32_reference, xvk_widen_f32_f16_reference, xvk_widen_f32_bf16_reference},
    .rmsnorm = xvk_rmsnorm_f32_reference,
    .rope = xvk_rope_f32_reference,
    .swiglu = xvk_swiglu_f32_reference,
    .add = xvk_add_f32_reference,
    .logsumexp = xvk_logsumexp_f32_reference,
    .kv_store = {xvk_kv_store_f32_reference, xvk_kv_store_f16_reference},
    .attention = {xvk_attention_f32_f32_reference, xvk_attention_f32_f16_reference},
};

#if defined(__x86_64__)
// Where a name ends in _reference, plain C is as fast: the operation is bound by memory or a sliver of a layer.
static const xvk_table avx2 = {
    .gemm = {xvk_gemm_f32_f32_avx2, xvk_gemm_f32_f16_avx2, xvk_gemm_f32_bf16_avx2},
    .widen = {xvk_widen_f32_f32_reference, xvk_widen_f32_f16_avx2, xvk_widen_f32_bf16_avx2},
    .rmsnorm = xvk_rmsnorm_f32_avx2,
    .rope = xvk_rope_f32_reference,
    .swiglu = xvk_swiglu_f32_avx2,
    .add = xvk_add_f32_reference,
    .logsumexp = xvk_logsumexp_f32_avx2,
    .kv_store = {xvk_kv_store_f32_avx2, xvk_kv_store_f16_avx2},
    .attention = {xvk_attention_f32_f32_avx2, xvk_attention_f32_f16_avx2},
};

static int cpu_has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}
#endif

const xvk_table *xvk_table_for(int32_t isa) {
  switch (isa) {
  case XVK_ISA_REFERENCE: return &reference;
#if defined(__x86_64__)
  case XVK_ISA_AVX2: return cpu_has_avx2() ? &avx2 : NULL;
#endif
  default: return NULL;
  }
}

int32_t xvk_best_isa(void) { return xvk_table_for(XVK_ISA_AVX2) ? XVK_ISA_AVX2 : XVK_ISA_REFERENCE; }

const char *xvk_isa_name(int32_t isa) {
  switch (isa) {
  case XVK_ISA_REFERENCE: return "reference";
  case XVK_ISA_AVX2: return "avx2";
  default: return NULL;
  }
}
