// swiglu.c -- y[t, i] = g / (1 + e^-g) * u with g = gate_up[t, i], u = gate_up[t, size + i].
#if defined(__x86_64__)
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

XVK_INLINE __m256 swiglu8(__m256 gate, __m256 up) {
  const __m256 one = _mm256_set1_ps(1), sign = _mm256_set1_ps(-0.0f);
  const __m256 silu = _mm256_div_ps(gate, _mm256_add_ps(one, exp8(_mm256_xor_ps(gate, sign))));
  return _mm256_mul_ps(silu, up);
}

void xvk_swiglu_f32_avx2(const void *work, int64_t begin, int64_t end) {
  const xvk_swiglu_work *const s = work;
  for (int64_t t = begin; t < end; ++t) {
    const float *const gate = s->gate_up + t * 2 * s->size, *const up = gate + s->size;
    float *const y = s->y + t * s->size;
    int64_t i = 0;
    for (; i + 8 <= s->size; i += 8) {
      _mm256_storeu_ps(y + i, swiglu8(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    }
    if (i < s->size) {
      float last[8];
      _mm256_storeu_ps(last, swiglu8(load_some(XVK_F32, (const void *)(gate + i), s->size - i),
                                     load_some(XVK_F32, (const void *)(up + i), s->size - i)));
      memcpy(y + i, last, (size_t)(s->size - i) * sizeof *y);
    }
  }
}

#pragma clang attribute pop
#endif
