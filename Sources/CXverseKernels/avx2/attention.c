// attention.c -- causal softmax attention over a blocked KV cache with AVX2; attention.h has the method.
#if defined(__x86_64__)
#include <math.h>
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define VECTORS(queries) ((queries) == 1 ? 8 : (queries) <= 3 ? 4 : 2)
enum { LANES = 8 };
typedef __m256 floats;

XVK_INLINE floats zero(void) { return _mm256_setzero_ps(); }
XVK_INLINE floats each(float value) { return _mm256_set1_ps(value); }
XVK_INLINE floats multiply(floats a, floats b) { return _mm256_mul_ps(a, b); }
XVK_INLINE floats fused(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
XVK_INLINE floats add(floats a, floats b) { return _mm256_add_ps(a, b); }
XVK_INLINE floats subtract(floats a, floats b) { return _mm256_sub_ps(a, b); }
XVK_INLINE floats larger(floats a, floats b) { return _mm256_max_ps(a, b); }
XVK_INLINE floats load(xvk_dtype dtype, const unsigned char *place) { return load8(dtype, place); }
XVK_INLINE floats load_first(xvk_dtype dtype, const unsigned char *place, int64_t count) {
  return load_some(dtype, place, count);
}
XVK_INLINE void put(float *place, floats v) { _mm256_storeu_ps(place, v); }
XVK_INLINE float first(floats v) { return _mm256_cvtss_f32(v); }
XVK_INLINE float sum_of(floats v) { return sum8(v); }
XVK_INLINE float largest_of(floats v) { return max8(v); }
XVK_INLINE floats exponential(floats x) { return exp8(x); }

XVK_INLINE floats hide(floats scores, int64_t visible) {
  const floats lanes = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  const floats hidden = _mm256_cmp_ps(lanes, each((float)visible), _CMP_GE_OQ);
  return _mm256_blendv_ps(scores, each(-INFINITY), hidden);
}

#include "../attention.h"

void xvk_attention_f32_f32_avx2(const void *work, int64_t begin, int64_t end) { attention(XVK_F32, work, begin, end); }
void xvk_attention_f32_f16_avx2(const void *work, int64_t begin, int64_t end) { attention(XVK_F16, work, begin, end); }
void xvk_attention_f32_int8_avx2(const void *work, int64_t begin, int64_t end) {
  attention(XVK_INT8, work, begin, end);
}
void xvk_attention_merge_avx2(const void *work, int64_t begin, int64_t end) { attention_merge(work, begin, end); }

#pragma clang attribute pop
#endif
