// logsumexp.c -- log(sum over i of e^x[i]), taken relative to the largest x, added up in double.
#if defined(__x86_64__)
#include <math.h>
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

XVK_INLINE __m256d add_exp8(__m256d sums, __m256 x, __m256 shift) {
  const __m256 e = exp8(_mm256_sub_ps(x, shift));
  return _mm256_add_pd(
      sums, _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(e)), _mm256_cvtps_pd(_mm256_extractf128_ps(e, 1))));
}

double xvk_logsumexp_f32_avx2(const float *x, int64_t count) {
  const int64_t whole = count / 8 * 8;
  __m256 largest8 = _mm256_set1_ps(-INFINITY), last = largest8;
  if (whole < count) {
    float rest[8];
    _mm256_storeu_ps(rest, last);
    memcpy(rest, x + whole, (size_t)(count - whole) * sizeof *x);
    last = _mm256_loadu_ps(rest);
  }
  // A NaN, as the first operand of max, is passed over: the sum meets it again.
  for (int64_t i = 0; i < whole; i += 8) largest8 = _mm256_max_ps(_mm256_loadu_ps(x + i), largest8);
  const float largest = max8(_mm256_max_ps(last, largest8));

  const float shift = isinf(largest) ? 0 : largest;  // infinity - infinity would be NaN
  __m256d sums = _mm256_setzero_pd();
  for (int64_t i = 0; i < whole; i += 8) sums = add_exp8(sums, _mm256_loadu_ps(x + i), _mm256_set1_ps(shift));
  double sum[4];
  _mm256_storeu_pd(sum, add_exp8(sums, last, _mm256_set1_ps(shift)));
  return shift + log((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

#pragma clang attribute pop
#endif
