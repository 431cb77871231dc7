// gemm_quantized.c -- y = x W^T for int8 and 4-bit weights with AVX2: a vector holds 8 rows, half a panel.
//
// 4 bits: maddubs adds two products u8 * s8 in s16. A code times an activation is at most 15 * 127, so the products of
// a group are added in s16 (8 * 2 * 1905 = 30480) before one madd widens them: a multiply and an add for 32 products of
// a row pair.
// int8: madd adds two products s16 * s16. (Bytes times bytes would pass s16; s16 times s16 is as fast as the ways
// around it, and keeps 16 bits of the activations.) madd and add are written as assembly where many sums are open:
// clang would add in another order, and keep the products in memory until then.
#if defined(__x86_64__)
#include "../quantized.h"
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define TILE_TOKENS 4
#define INT8_FEW INT64_MAX
enum { LANES = 8, TILE = TILE_TOKENS, INT4_FEW = 4 };
typedef __m256i ints;
typedef __m256 floats;

XVK_INLINE ints zero_ints(void) { return _mm256_setzero_si256(); }
XVK_INLINE ints load_ints(const unsigned char *place) { return _mm256_loadu_si256((const void *)place); }
XVK_INLINE ints each_s32(int32_t value) { return _mm256_set1_epi32(value); }
XVK_INLINE ints and (ints a, ints b) { return _mm256_and_si256(a, b); }
XVK_INLINE ints widen_bytes(const unsigned char *place) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)place));
}
XVK_INLINE ints load_words(const unsigned char *place) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)place));
}
XVK_INLINE ints load_bytes(const unsigned char *place) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)place));
}
XVK_INLINE ints accumulate_s16(ints sum, ints a, ints b) {
  ints products;
  __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(products) : "x"(a), "x"(b));
  return sum;
}
XVK_INLINE floats zero_floats(void) { return _mm256_setzero_ps(); }
XVK_INLINE floats each_f32(float value) { return _mm256_set1_ps(value); }
XVK_INLINE floats multiply(floats a, floats b) { return _mm256_mul_ps(a, b); }
XVK_INLINE floats add_sum(xvk_dtype dtype, ints sum, floats scales, floats x_scale, floats y) {
  (void)dtype;
  return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), multiply(scales, x_scale), y);
}
XVK_INLINE floats load_scales(const unsigned char *place, int mask, int shift) {
  return _mm256_cvtph_ps(
      _mm_srli_epi16(_mm_and_si128(_mm_loadu_si128((const void *)place), _mm_set1_epi16((short)mask)), shift));
}

XVK_INLINE void store_rows(float *y, floats value, int64_t count) {
  if (count >= LANES) {
    _mm256_storeu_ps(y, value);
  } else if (count > 0) {
    float rows[LANES];
    _mm256_storeu_ps(rows, value);
    memcpy(y, rows, (size_t)count * sizeof *y);
  }
}

// ---- codes of 4 bits ----

XVK_INLINE floats int4_scales(int is_unpacked, floats scales) {
  (void)is_unpacked;
  return scales;
}

XVK_INLINE ints low_weights(ints both) { return and(both, each_s32(0x0F0F0F0F)); }
XVK_INLINE ints high_weights(ints both) { return low_weights(_mm256_srli_epi16(both, 4)); }
XVK_INLINE ints unpacked_weights(ints weights, ints zeros) {
  (void)zeros;
  return weights;
}
XVK_INLINE ints first_sum(int is_unpacked, ints zeros, ints x_sum, ints x_scale) {
  (void)is_unpacked, (void)zeros, (void)x_sum, (void)x_scale;
  return zero_ints();
}
XVK_INLINE ints add_products(ints sum, ints weights, ints q) {
  ints products;
  __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(sum), "=&x"(products) : "x"(weights), "x"(q));
  return sum;
}
// 8 (sum of code * q) + zero * x_sum. Both factors of the latter are within 16 bits, and the upper half of zero is 0.
XVK_INLINE ints last_sum(ints sum, ints zeros, ints x_sum) {
  return _mm256_add_epi32(_mm256_madd_epi16(sum, _mm256_set1_epi16(8)), _mm256_madd_epi16(zeros, x_sum));
}

#include "../gemm_quantized.h"

void xvk_gemm_s16_int8_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT8, work, begin, end); }
void xvk_gemm_s8_int4_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4, work, begin, end); }
void xvk_gemm_s8_int4_f16_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4_F16, work, begin, end); }

#pragma clang attribute pop
#endif
