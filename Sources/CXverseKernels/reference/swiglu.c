// swiglu.c -- y[t, i] = g / (1 + e^-g) * u with g = gate_up[t, i], u = gate_up[t, size + i].
//
//   gate_up [tokens, 2 * size], y [tokens, size]. Bound: the exponential.
#include <math.h>
#include "../kernels.h"

void xvk_swiglu_f32_reference(const void *work, int64_t begin, int64_t end) {
  const xvk_swiglu_work *const s = work;
  for (int64_t t = begin; t < end; ++t) {
    const float *const gate = s->gate_up + t * 2 * s->size;
    const float *const up = gate + s->size;
    float *const y = s->y + t * s->size;
    for (int64_t i = 0; i < s->size; ++i) y[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
  }
}
