// attention.c -- causal softmax attention over a blocked KV cache with AVX2; attention.h has the method.
#if defined(__x86_64__)
#include "floats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define VECTORS(queries) ((queries) == 1 ? 8 : (queries) <= 3 ? 4 : 2)
#include "../attention.h"

void xvk_attention_f32_f32_avx2(const void *work, int64_t begin, int64_t end) { attention(XVK_F32, work, begin, end); }
void xvk_attention_f32_f16_avx2(const void *work, int64_t begin, int64_t end) { attention(XVK_F16, work, begin, end); }
void xvk_attention_f32_int8_avx2(const void *work, int64_t begin, int64_t end) {
  attention(XVK_INT8, work, begin, end);
}
void xvk_attention_merge_avx2(const void *work, int64_t begin, int64_t end) { attention_merge(work, begin, end); }

#pragma clang attribute pop
#endif
