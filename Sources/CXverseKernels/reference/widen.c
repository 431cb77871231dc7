// widen.c -- y[i] = w[i], f32 | f16 | bf16 to f32, exactly.
#include "../numbers.h"

void xvk_widen_f32_f32_reference(float *y, const void *w, int64_t count) { memcpy(y, w, (size_t)count * sizeof *y); }

void xvk_widen_f32_f16_reference(float *y, const void *w, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = xvk_load(XVK_F16, w, i);
}

void xvk_widen_f32_bf16_reference(float *y, const void *w, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = xvk_load(XVK_BF16, w, i);
}
