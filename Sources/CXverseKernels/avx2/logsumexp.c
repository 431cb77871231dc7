// logsumexp.c -- the logarithm of a sum of exponentials with AVX2; logsumexp.h has the method.
#if defined(__x86_64__)
#include "floats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../logsumexp.h"

double xvk_logsumexp_f32_avx2(const float *x, int64_t count) { return logsumexp(x, count); }
#pragma clang attribute pop
#endif
