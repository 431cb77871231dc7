// attention.c -- causal softmax attention over a blocked KV cache with AVX-512; attention.h has the method.
#if defined(__x86_64__)
#include <math.h>
#include "../avx2/vectors.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c"))), \
                             apply_to = function)

#define VECTORS(queries) 4
enum { LANES = 16 };
typedef __m512 floats;

XVK_INLINE floats zero(void) { return _mm512_setzero_ps(); }
XVK_INLINE floats each(float value) { return _mm512_set1_ps(value); }
XVK_INLINE floats multiply(floats a, floats b) { return _mm512_mul_ps(a, b); }
XVK_INLINE floats fused(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }
XVK_INLINE floats add(floats a, floats b) { return _mm512_add_ps(a, b); }
XVK_INLINE floats subtract(floats a, floats b) { return _mm512_sub_ps(a, b); }
XVK_INLINE floats larger(floats a, floats b) { return _mm512_max_ps(a, b); }
XVK_INLINE floats smaller(floats a, floats b) { return _mm512_min_ps(a, b); }
XVK_INLINE void put(float *place, floats v) { _mm512_storeu_ps(place, v); }
XVK_INLINE float first(floats v) { return _mm512_cvtss_f32(v); }

XVK_INLINE floats load(xvk_dtype dtype, const void *place) {
  if (dtype == XVK_F32) return _mm512_loadu_ps(place);
  if (dtype == XVK_F16) return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)place));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)place)));
}

XVK_INLINE floats load_first(xvk_dtype dtype, const void *place, int64_t count) {
  const __mmask16 some = (__mmask16)((1u << count) - 1);
  if (dtype == XVK_F32) return _mm512_maskz_loadu_ps(some, place);
  if (dtype == XVK_F16) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(some, place));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(some, place)));
}

XVK_INLINE floats hide(floats scores, int64_t visible) {
  const __mmask16 hidden = (__mmask16)(visible <= 0 ? 0xFFFF : 0xFFFFu << visible);
  return _mm512_mask_mov_ps(scores, hidden, each(-INFINITY));
}

XVK_INLINE __m256 low(floats v) { return _mm512_castps512_ps256(v); }
XVK_INLINE __m256 high(floats v) { return _mm512_extractf32x8_ps(v, 1); }
XVK_INLINE float sum_of(floats v) { return sum8(_mm256_add_ps(low(v), high(v))); }
XVK_INLINE float largest_of(floats v) { return max8(_mm256_max_ps(low(v), high(v))); }

XVK_INLINE floats power_of(floats sum) {
  const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(sum), 23);
  return _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(127 << 23)));
}

#include "../exponential.h"

#include "../attention.h"

void xvk_attention_f32_f32_avx512(const void *work, int64_t begin, int64_t end) {
  attention(XVK_F32, work, begin, end);
}
void xvk_attention_f32_f16_avx512(const void *work, int64_t begin, int64_t end) {
  attention(XVK_F16, work, begin, end);
}
void xvk_attention_f32_int8_avx512(const void *work, int64_t begin, int64_t end) {
  attention(XVK_INT8, work, begin, end);
}
void xvk_attention_merge_avx512(const void *work, int64_t begin, int64_t end) { attention_merge(work, begin, end); }

#pragma clang attribute pop
#endif
