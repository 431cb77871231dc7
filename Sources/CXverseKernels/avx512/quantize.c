// quantize.c -- float weights to int8 and int4 blocks, AVX-512; quantize.h has the method.
#if defined(__x86_64__)
#include <math.h>
#include "../numbers.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c"))), \
                             apply_to = function)
#include "../quantize.h"

void xvk_quantize_int8_avx512(const void *work, int64_t begin, int64_t end) { quantize(XVK_INT8, work, begin, end); }
void xvk_quantize_int4_avx512(const void *work, int64_t begin, int64_t end) { quantize(XVK_INT4, work, begin, end); }

void xvk_gptq_int8_avx512(const void *work, int64_t begin, int64_t end) { quantize_gptq(XVK_INT8, work, begin, end); }

void xvk_gptq_int4_avx512(const void *work, int64_t begin, int64_t end) { quantize_gptq(XVK_INT4, work, begin, end); }
#pragma clang attribute pop
#endif
