// gemm_quantized.c -- y = x W^T for int8 and 4-bit weights with AVX-512 VNNI: a vector holds 16 rows, a panel.
//
// 4 bits: vpdpbusd adds four products u8 * s8 a row. For few tokens the u8 are 16 code, half of which need no shift, and
// twice -zero * sum of q is added. For more tokens they are 8 code - zero + 128, and -128 * sum of q, the same for all
// rows, is part of what a sum begins with. A sum begins at the bits of a float and ends as those of another, so of 10
// instructions a group and token 8 multiply, one subtracts and one adds the group to y: a conversion and a product of
// the scales (two operations on Intel's cores, where ports 0 and 5 do all this work) would make it 12.
// int8: vpdpwssd adds two products s16 * s16; sums of 27 bits have to be converted. clang would make vpmaddwd and vpaddd
// of its intrinsic, and gather the loads of activations from around that of vpdpbusd, until registers run out: both are
// written as assembly where many sums are open. So is vfmadd231ps, as clang would rather copy y than multiply in place.
#if defined(__x86_64__)
#include "../avx2/vectors.h"
#include "../quantized.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c"))), \
                             apply_to = function)

#define TILE_TOKENS 6
enum { LANES = 16, TILE = TILE_TOKENS, INT4_FEW = XVK_FEW_TOKENS, INT8_FEW = 16 };
typedef __m512i ints;
typedef __m512 floats;

XVK_INLINE ints zero_ints(void) { return _mm512_setzero_si512(); }
XVK_INLINE ints load_ints(const unsigned char *place) { return _mm512_loadu_si512(place); }
XVK_INLINE ints each_s32(int32_t value) { return _mm512_set1_epi32(value); }
XVK_INLINE ints and (ints a, ints b) { return _mm512_and_si512(a, b); }
XVK_INLINE ints widen_bytes(const unsigned char *place) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)place));
}
XVK_INLINE ints load_words(const unsigned char *place) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)place));
}
XVK_INLINE ints load_bytes(const unsigned char *place) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)place));
}
XVK_INLINE ints accumulate_s16(ints sum, ints a, ints b) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
}
XVK_INLINE floats zero_floats(void) { return _mm512_setzero_ps(); }
XVK_INLINE floats each_f32(float value) { return _mm512_set1_ps(value); }
XVK_INLINE floats multiply(floats a, floats b) { return _mm512_mul_ps(a, b); }
XVK_INLINE floats add_sum(xvk_dtype dtype, ints sum, floats scales, floats x_scale, floats y) {
  floats a = _mm512_castsi512_ps(sum), b = scales;
  if (dtype == XVK_INT8) {
    a = _mm512_cvtepi32_ps(sum);
    b = _mm512_scalef_ps(scales, x_scale);
  } else {
    a = _mm512_sub_ps(a, x_scale);
  }
  __asm__("vfmadd231ps %2, %1, %0" : "+v"(y) : "v"(a), "v"(b));
  return y;
}
XVK_INLINE floats load_scales(const unsigned char *place, int mask, int shift) {
  return _mm512_cvtph_ps(_mm256_srli_epi16(
      _mm256_and_si256(_mm256_loadu_si256((const void *)place), _mm256_set1_epi16((short)mask)), shift));
}

XVK_INLINE __mmask16 first_rows(int64_t count) { return (__mmask16)(count < LANES ? (1 << count) - 1 : 0xFFFF); }
XVK_INLINE void store_rows(float *y, floats value, int64_t count) {
  if (count > 0) _mm512_mask_storeu_ps(y, first_rows(count), value);
}

// ---- codes of 4 bits ----

// 16 code, and for many tokens 8 code + 128 - zero.
XVK_INLINE ints high_weights(ints both) { return and(both, each_s32((int32_t)0xF0F0F0F0)); }
XVK_INLINE ints low_weights(ints both) { return high_weights(_mm512_slli_epi16(both, 4)); }
XVK_INLINE ints unpacked_weights(ints weights, ints zeros) {
  const ints zero_bytes = _mm512_mullo_epi32(zeros, each_s32(0x01010101));
  return _mm512_add_epi8(_mm512_srli_epi16(weights, 1), _mm512_sub_epi8(each_s32((int32_t)0x80808080), zero_bytes));
}
// The sums of few tokens are twice those of many; the scales of the activations hold XVK_SUM_UNIT.
XVK_INLINE floats int4_scales(int is_unpacked, floats scales) {
  return multiply(scales, each_f32(is_unpacked ? 1 / XVK_SUM_UNIT : 0.5F / XVK_SUM_UNIT));
}
// 2 zero * x_sum, both within 16 bits, the upper half of zero 0; what is stored for many tokens is ready.
XVK_INLINE ints first_sum(int is_unpacked, ints zeros, ints x_sum, ints x_scale) {
  return is_unpacked ? x_sum : accumulate_s16(x_scale, _mm512_add_epi32(zeros, zeros), x_sum);
}
XVK_INLINE ints add_products(ints sum, ints weights, ints q) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(q));
  return sum;
}
XVK_INLINE ints last_sum(ints sum, ints zeros, ints x_sum) {
  (void)zeros, (void)x_sum;
  return sum;
}

#include "../gemm_quantized.h"

void xvk_gemm_s16_int8_avx512(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT8, work, begin, end); }
void xvk_gemm_s8_int4_avx512(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4, work, begin, end); }
void xvk_gemm_s8_int4_f16_avx512(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4_F16, work, begin, end); }

#pragma clang attribute pop
#endif
