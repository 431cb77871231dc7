// widen.c -- f16 and bf16 to f32 with AVX2; widen.h has the method.
#if defined(__x86_64__)
#include "floats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../widen.h"

void xvk_widen_f32_f16_avx2(float *y, const void *w, int64_t count) { widen(XVK_F16, y, w, count); }
void xvk_widen_f32_bf16_avx2(float *y, const void *w, int64_t count) { widen(XVK_BF16, y, w, count); }
#pragma clang attribute pop
#endif
