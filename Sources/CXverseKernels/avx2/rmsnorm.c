// rmsnorm.c -- the root mean square norm with AVX2; rmsnorm.h has the method.
#if defined(__x86_64__)
#include "floats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../rmsnorm.h"

void xvk_rmsnorm_f32_avx2(const void *work, int64_t begin, int64_t end) { rmsnorm(work, begin, end); }
#pragma clang attribute pop
#endif
