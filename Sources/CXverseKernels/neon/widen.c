// widen.c -- f16 and bf16 to f32 with NEON; widen.h has the method.
#if defined(__aarch64__)
#include "vectors.h"

#include "../widen.h"

void xvk_widen_f32_f16_neon(float *y, const void *w, int64_t count) { widen(XVK_F16, y, w, count); }
void xvk_widen_f32_bf16_neon(float *y, const void *w, int64_t count) { widen(XVK_BF16, y, w, count); }
#endif
