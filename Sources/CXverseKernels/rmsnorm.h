// rmsnorm.h -- y[t, i] = weight[i] * (x[t, i] / sqrt(mean over i of x[t, i]^2 + epsilon)): the template of avx2/ and
// neon/rmsnorm.c, over the vectors of avx2/floats.h and neon/vectors.h.
//
// The squares are added in double, 16 sums at a time, so the mean is exact to its rounding as in the reference.
#include <math.h>
#include "kernels.h"

enum { SUMS = 16, EACH = LANES / 2 };

XVK_INLINE double sum_of_squares(const float *x, int64_t size) {
  doubles sums[SUMS / EACH];
  for (int j = 0; j < SUMS / EACH; ++j) sums[j] = zero_doubles();
  int64_t i = 0;
  for (; i + SUMS <= size; i += SUMS) {
    for (int j = 0; j < SUMS / EACH; ++j) {
      const doubles v = widened(x + i + EACH * j);
      sums[j] = fused_doubles(v, v, sums[j]);
    }
  }
  double s[SUMS], four[4];
  for (int j = 0; j < SUMS / EACH; ++j) put_doubles(s + EACH * j, sums[j]);
  for (int j = 0; j < 4; ++j) four[j] = (s[j] + s[4 + j]) + (s[8 + j] + s[12 + j]);
  double total = (four[0] + four[1]) + (four[2] + four[3]);
  for (; i < size; ++i) total += (double)x[i] * (double)x[i];
  return total;
}

XVK_INLINE void rmsnorm(const xvk_rmsnorm_work *n, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    const float *const x = n->x + t * n->size;
    float *const y = n->y + t * n->size;
    const float mean = (float)(sum_of_squares(x, n->size) / (double)n->size);
    const float scale = 1 / sqrtf(mean + n->epsilon);
    int64_t i = 0;
    for (; i + LANES <= n->size; i += LANES)
      put(y + i, multiply(load(XVK_F32, n->weight + i), multiply(load(XVK_F32, x + i), each(scale))));
    for (; i < n->size; ++i) y[i] = n->weight[i] * (x[i] * scale);
  }
}
