// vectors.h -- what the AVX2 kernels share: 8 floats at a time from f32, f16, bf16 and bytes, sums.
//
// A `xvk_dtype` argument of these functions is a constant wherever it is used: they are inlined, and only one of the
// branches remains. It is f32, f16, bf16, or int8 for signed bytes. AVX2 stands for AVX2 + FMA + F16C.
#ifndef XVK_AVX2_VECTORS_H
#define XVK_AVX2_VECTORS_H
#include <immintrin.h>
#include "../numbers.h"

#define XVK_INLINE static inline __attribute__((always_inline))

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

// 8 numbers at any byte.
XVK_INLINE __m256 load8(xvk_dtype dtype, const unsigned char *place) {
  if (dtype == XVK_F32) return _mm256_loadu_ps((const void *)place);
  if (dtype == XVK_F16) return _mm256_cvtph_ps(_mm_loadu_si128((const void *)place));
  if (dtype == XVK_INT8) return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)place)));
  const __m256i bits = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)place));
  return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
}

// The first `count` < 8 of 8 numbers, then zeros; reads nothing beyond them.
XVK_INLINE __m256 load_some(xvk_dtype dtype, const unsigned char *place, int64_t count) {
  unsigned char numbers[32] = {0};
  memcpy(numbers, place, (size_t)(count * xvk_dtype_size(dtype)));
  return load8(dtype, numbers);
}

// The sum of the 8 elements, always in the same order.
XVK_INLINE float sum8(__m256 v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// The largest of the 8 elements; any element when one of them is NaN.
XVK_INLINE float max8(__m256 v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#pragma clang attribute pop

#endif
