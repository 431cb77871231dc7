// vectors.h -- what the AVX2 kernels share: 8 floats at a time from f32, f16, bf16 and bytes, sums, the exponential.
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

// The largest of the 8 elements; any element when one of them is NaN.
XVK_INLINE float max8(__m256 v) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// e^x, off by at most 1.01 ulp from -87.3 to 88.3 (every float was tried); below it falls to 0 and above it rises to
// infinity a little early. exp8(0) is exactly 1, exp8(-infinity) exactly 0, NaN stays NaN.
//
// x = n ln 2 + r with |r| <= ln 2 / 2, n ln 2 subtracted in two parts (Cody & Waite); e^r = 1 + r + r^2 p(r) with p the
// polynomial of degree 4 whose largest error relative to e^r, 3.1e-9, is least (found by Lawson's iteration).
XVK_INLINE __m256 exp8(__m256 x) {
  // At these n is -127 and 128, the exponents of 0 and infinity. max and min return their second operand for NaN.
  x = _mm256_min_ps(_mm256_set1_ps(89), _mm256_max_ps(_mm256_set1_ps(-88), x));
  // The sum is so large that its last bit counts ones: rounding it rounds x / ln 2, and n stands in its low bits.
  const __m256 large = _mm256_set1_ps(0x1.8p23f);
  const __m256 sum = _mm256_fmadd_ps(x, _mm256_set1_ps(0x1.715476p+0f), large);
  const __m256 n = _mm256_sub_ps(sum, large);
  const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(sum), 23);
  const __m256i power = _mm256_add_epi32(exponent, _mm256_set1_epi32(127 << 23));

  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.63p-1f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-0x1.bd0106p-13f), r);
  __m256 p = _mm256_set1_ps(0x1.6a2434p-10f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.1239e2p-7f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.5558f2p-5f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555492p-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffffcp-2f));
  p = _mm256_fmadd_ps(_mm256_mul_ps(r, r), p, r);
  return _mm256_mul_ps(_mm256_add_ps(p, _mm256_set1_ps(1)), _mm256_castsi256_ps(power));
}

#pragma clang attribute pop

#endif
