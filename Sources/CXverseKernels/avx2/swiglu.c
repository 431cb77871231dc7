// swiglu.c -- the gated activation with AVX2; swiglu.h has the method.
#if defined(__x86_64__)
#include "floats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../swiglu.h"

void xvk_swiglu_f32_avx2(const void *work, int64_t begin, int64_t end) { swiglu(work, begin, end); }
#pragma clang attribute pop
#endif
