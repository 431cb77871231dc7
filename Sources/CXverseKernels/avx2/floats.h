// floats.h -- the vectors that the AVX2 files give to the templates: 8 floats, their bits, 4 doubles.
#ifndef XVK_AVX2_FLOATS_H
#define XVK_AVX2_FLOATS_H
#include <math.h>
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { LANES = 8 };
typedef __m256 floats;
typedef __m256i words;
typedef __m256d doubles;  // of half the lanes

XVK_INLINE floats zero(void) { return _mm256_setzero_ps(); }
XVK_INLINE floats each(float value) { return _mm256_set1_ps(value); }
XVK_INLINE floats multiply(floats a, floats b) { return _mm256_mul_ps(a, b); }
XVK_INLINE floats divide(floats a, floats b) { return _mm256_div_ps(a, b); }
XVK_INLINE floats fused(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
XVK_INLINE floats add(floats a, floats b) { return _mm256_add_ps(a, b); }
XVK_INLINE floats subtract(floats a, floats b) { return _mm256_sub_ps(a, b); }
XVK_INLINE floats negative(floats a) { return _mm256_xor_ps(a, each(-0.0f)); }

// b where one of them is NaN.
XVK_INLINE floats larger(floats a, floats b) { return _mm256_max_ps(a, b); }
XVK_INLINE floats smaller(floats a, floats b) { return _mm256_min_ps(a, b); }

// Numbers at any byte; the first `count` < LANES of them, then zeros.
XVK_INLINE floats load(xvk_dtype dtype, const void *place) { return load8(dtype, place); }
XVK_INLINE floats load_first(xvk_dtype dtype, const void *place, int64_t count) {
  return load_some(dtype, place, count);
}
XVK_INLINE void put(float *place, floats v) { _mm256_storeu_ps(place, v); }

XVK_INLINE float first(floats v) { return _mm256_cvtss_f32(v); }
XVK_INLINE float sum_of(floats v) { return sum8(v); }
XVK_INLINE float largest_of(floats v) { return max8(v); }

// -infinity from lane `visible` on.
XVK_INLINE floats hide(floats scores, int64_t visible) {
  const floats lanes = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  const floats hidden = _mm256_cmp_ps(lanes, each((float)visible), _CMP_GE_OQ);
  return _mm256_blendv_ps(scores, each(-INFINITY), hidden);
}

// The bits of magnitudes, those of NaN above all others, and the largest of them.
XVK_INLINE words magnitudes(floats v) {
  return _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7FFFFFFF));
}
XVK_INLINE words larger_words(words a, words b) { return _mm256_max_epu32(a, b); }
XVK_INLINE uint32_t largest_word(words v) {
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4E));
  return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(four, _mm_shuffle_epi32(four, 0xB1)));
}

// LANES / 2 numbers.
XVK_INLINE doubles zero_doubles(void) { return _mm256_setzero_pd(); }
XVK_INLINE doubles widened(const float *place) { return _mm256_cvtps_pd(_mm_loadu_ps(place)); }
XVK_INLINE doubles add_doubles(doubles a, doubles b) { return _mm256_add_pd(a, b); }
XVK_INLINE doubles fused_doubles(doubles a, doubles b, doubles c) { return _mm256_fmadd_pd(a, b, c); }
XVK_INLINE void put_doubles(double *place, doubles v) { _mm256_storeu_pd(place, v); }

XVK_INLINE floats power_of(floats sum) {
  const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(sum), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(127 << 23)));
}

#include "../exponential.h"

#pragma clang attribute pop

#endif
