// attention.c -- causal softmax attention over a blocked KV cache with NEON; attention.h has the method.
//
// 32 registers hold the sums of 6 queries x 16 columns, 4 vectors of the cache, and numbers of two queries, which the
// multiply-adds take by lane. They are 24 of the 37 instructions of that loop as clang makes it, of 41 with f16 and of
// 45 with int8, whose numbers are converted in 1 and 2 instructions a vector. It has not been measured on a CPU.
#if defined(__aarch64__)
#include "vectors.h"

#define VECTORS(queries) ((queries) <= 2 ? 8 : 4)
#include "../attention.h"

void xvk_attention_f32_f32_neon(const void *work, int64_t begin, int64_t end) { attention(XVK_F32, work, begin, end); }
void xvk_attention_f32_f16_neon(const void *work, int64_t begin, int64_t end) { attention(XVK_F16, work, begin, end); }
void xvk_attention_f32_int8_neon(const void *work, int64_t begin, int64_t end) {
  attention(XVK_INT8, work, begin, end);
}
void xvk_attention_merge_neon(const void *work, int64_t begin, int64_t end) { attention_merge(work, begin, end); }

#endif
