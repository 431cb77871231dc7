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
  // One shuffle puts each number into the upper half of 32 bits, above zeros.
  const __m256i upper = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7, -1, -1, 8, 9, -1, -1,
                                         10, 11, -1, -1, 12, 13, -1, -1, 14, 15);
  const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)place));
  return _mm256_castsi256_ps(_mm256_shuffle_epi8(twice, upper));
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

// sum8 of four vectors.
XVK_INLINE void sums8(float sums[4], const __m256 v[4]) {
  __m128 four[4];
  for (int i = 0; i < 4; ++i) four[i] = _mm_add_ps(_mm256_castps256_ps128(v[i]), _mm256_extractf128_ps(v[i], 1));
  const __m128 a = _mm_add_ps(_mm_movelh_ps(four[0], four[1]), _mm_movehl_ps(four[1], four[0]));
  const __m128 b = _mm_add_ps(_mm_movelh_ps(four[2], four[3]), _mm_movehl_ps(four[3], four[2]));
  _mm_storeu_ps(sums, _mm_add_ps(_mm_shuffle_ps(a, b, 0x88), _mm_shuffle_ps(a, b, 0xDD)));
}

// The largest of the 8 elements; any element when one of them is NaN.
XVK_INLINE float max8(__m256 v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#pragma clang attribute pop

#endif
