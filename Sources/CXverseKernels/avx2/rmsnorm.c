// rmsnorm.c -- y[t, i] = weight[i] * (x[t, i] / sqrt(mean over i of x[t, i]^2 + epsilon)).
//
// The squares are added in double, 16 sums at a time, so the mean is exact to its rounding as in the reference.
#if defined(__x86_64__)
#include <math.h>
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

XVK_INLINE double sum_of_squares(const float *x, int64_t size) {
  __m256d sums[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
  int64_t i = 0;
  for (; i + 16 <= size; i += 16) {
    for (int j = 0; j < 4; ++j) {
      const __m256d v = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * j));
      sums[j] = _mm256_fmadd_pd(v, v, sums[j]);
    }
  }
  double sum[4];
  _mm256_storeu_pd(sum, _mm256_add_pd(_mm256_add_pd(sums[0], sums[1]), _mm256_add_pd(sums[2], sums[3])));
  double total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  for (; i < size; ++i) total += (double)x[i] * (double)x[i];
  return total;
}

void xvk_rmsnorm_f32_avx2(const void *work, int64_t begin, int64_t end) {
  const xvk_rmsnorm_work *const n = work;
  for (int64_t t = begin; t < end; ++t) {
    const float *const x = n->x + t * n->size;
    float *const y = n->y + t * n->size;
    const float mean = (float)(sum_of_squares(x, n->size) / (double)n->size);
    const float scale = 1 / sqrtf(mean + n->epsilon);
    int64_t i = 0;
    for (; i + 8 <= n->size; i += 8) {
      const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(scale));
      _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_loadu_ps(n->weight + i), scaled));
    }
    for (; i < n->size; ++i) y[i] = n->weight[i] * (x[i] * scale);
  }
}

#pragma clang attribute pop
#endif
