// quantize.c -- float weights to int8 and int4 blocks, AVX2; quantize.h has the method.
#if defined(__x86_64__)
#include <math.h>
#include "../numbers.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../quantize.h"

void xvk_quantize_int8_avx2(const void *work, int64_t begin, int64_t end) { quantize(XVK_INT8, work, begin, end); }
void xvk_quantize_int4_avx2(const void *work, int64_t begin, int64_t end) { quantize(XVK_INT4, work, begin, end); }

void xvk_gptq_int8_avx2(const void *work, int64_t begin, int64_t end) { quantize_gptq(XVK_INT8, work, begin, end); }

void xvk_gptq_int4_avx2(const void *work, int64_t begin, int64_t end) { quantize_gptq(XVK_INT4, work, begin, end); }
#pragma clang attribute pop
#endif
