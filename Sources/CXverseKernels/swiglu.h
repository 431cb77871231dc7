// swiglu.h -- y[t, i] = g / (1 + e^-g) * u with g = gate_up[t, i], u = gate_up[t, size + i]: the template of avx2/ and
// neon/swiglu.c, over the vectors of avx2/floats.h and neon/vectors.h.
#include "numbers.h"

XVK_INLINE floats gated(floats gate, floats up) {
  return multiply(divide(gate, add(each(1), exponential(negative(gate)))), up);
}

XVK_INLINE void swiglu(const xvk_swiglu_work *s, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    const float *const gate = s->gate_up + t * 2 * s->size, *const up = gate + s->size;
    float *const y = s->y + t * s->size;
    int64_t i = 0;
    for (; i + LANES <= s->size; i += LANES) put(y + i, gated(load(XVK_F32, gate + i), load(XVK_F32, up + i)));
    if (i < s->size) {
      const int64_t rest = s->size - i;
      float last[LANES];
      put(last, gated(load_first(XVK_F32, gate + i, rest), load_first(XVK_F32, up + i, rest)));
      memcpy(y + i, last, (size_t)rest * sizeof *y);
    }
  }
}
