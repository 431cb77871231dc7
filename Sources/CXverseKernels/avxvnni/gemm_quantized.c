// gemm_quantized.c -- y = x W^T for int8 and 4-bit weights with AVX-VNNI: a vector holds 8 rows, half a panel.
// avx512/gemm_quantized.c tells how the instructions are used.
#if defined(__x86_64__)
#include "../avx2/vectors.h"
#include "../quantized.h"

#pragma clang attribute push(__attribute__((target("avx2,avxvnni,fma,f16c"))), apply_to = function)

#define TILE_TOKENS 6
#define INT8_FEW INT64_MAX
enum { LANES = 8, TILE = TILE_TOKENS, INT4_FEW = 16 };
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
  __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
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

// 8 code, and for many tokens 8 code + 128 - zero.
XVK_INLINE ints low_weights(ints both) { return and(_mm256_slli_epi16(both, 3), each_s32(0x78787878)); }
XVK_INLINE ints high_weights(ints both) { return and(_mm256_srli_epi16(both, 1), each_s32(0x78787878)); }
XVK_INLINE ints unpacked_weights(ints weights, ints zeros) {
  const ints zero_bytes = _mm256_mullo_epi32(zeros, each_s32(0x01010101));
  return _mm256_add_epi8(weights, _mm256_sub_epi8(each_s32((int32_t)0x80808080), zero_bytes));
}
// zero * x_sum, both within 16 bits, the upper half of zero 0; or 128 * x_sum.
XVK_INLINE ints first_sum(int is_unpacked, ints zeros, ints x_sum, ints x_scale) {
  (void)x_scale;
  return is_unpacked ? _mm256_slli_epi32(x_sum, 7) : _mm256_dpwssd_avx_epi32(zero_ints(), zeros, x_sum);
}
XVK_INLINE ints add_products(ints sum, ints weights, ints q) {
  __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(weights), "x"(q));
  return sum;
}
XVK_INLINE ints last_sum(ints sum, ints zeros, ints x_sum) {
  (void)zeros, (void)x_sum;
  return sum;
}

#include "../gemm_quantized.h"

void xvk_gemm_s16_int8_avxvnni(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT8, work, begin, end); }
void xvk_gemm_s8_int4_avxvnni(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4, work, begin, end); }
void xvk_gemm_s8_int4_f16_avxvnni(const void *work, int64_t begin, int64_t end) {
  gemm(XVK_INT4_F16, work, begin, end);
}

#pragma clang attribute pop
#endif
