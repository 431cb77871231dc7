// widen.c -- y[i] = w[i], f16 | bf16 to f32, exactly. Feeds the panels of the BLAS products.
#if defined(__x86_64__)
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

XVK_INLINE void widen(xvk_dtype dtype, float *y, const unsigned char *w, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) _mm256_storeu_ps(y + i, load8(dtype, w + i * xvk_dtype_size(dtype)));
  for (; i < count; ++i) y[i] = xvk_load(dtype, w, i);
}

void xvk_widen_f32_f16_avx2(float *y, const void *w, int64_t count) { widen(XVK_F16, y, w, count); }
void xvk_widen_f32_bf16_avx2(float *y, const void *w, int64_t count) { widen(XVK_BF16, y, w, count); }

#pragma clang attribute pop
#endif
