// rmsnorm.c -- y[t, i] = weight[i] * (x[t, i] / sqrt(mean over i of x[t, i]^2 + epsilon)).
//
//   x, y [tokens, size], weight [size]; y may be x. Bound: one pass over x to sum, one from cache to scale.
#include <math.h>
#include "../kernels.h"

void xvk_rmsnorm_f32_reference(const void *work, int64_t begin, int64_t end) {
  const xvk_rmsnorm_work *const n = work;
  for (int64_t t = begin; t < end; ++t) {
    const float *const x = n->x + t * n->size;
    float *const y = n->y + t * n->size;
    double squares = 0;
    for (int64_t i = 0; i < n->size; ++i) squares += (double)x[i] * (double)x[i];
    const float scale = 1 / sqrtf((float)(squares / (double)n->size) + n->epsilon);
    for (int64_t i = 0; i < n->size; ++i) y[i] = n->weight[i] * (x[i] * scale);
  }
}
