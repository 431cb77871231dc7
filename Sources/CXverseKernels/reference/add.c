// add.c -- x[i] += y[i]. Bound: memory bandwidth, which plain C reaches.
#include "../kernels.h"

void xvk_add_f32_reference(const void *work, int64_t begin, int64_t end) {
  const xvk_add_work *const a = work;
  float *restrict const x = a->x;
  const float *restrict const y = a->y;
  for (int64_t i = begin; i < end; ++i) x[i] += y[i];
}
