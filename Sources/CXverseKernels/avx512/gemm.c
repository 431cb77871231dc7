// gemm.c -- products with f32, f16 and bf16 weights with AVX-512; gemm_float.h has the method.
//
// 8 rows x 3 tokens fill 24 of the 32 registers with sums. 4 rows x 6 tokens do too, but then clang keeps some in memory, and
// a Zen 5 reaches 0.3 of its multipliers rather than 0.7 with 4 x 5. Streams gain nothing there beyond one tile. vdpbf16ps would multiply twice as many
// bf16 at once, but x would have to be bf16 as well: 8 bits of fraction instead of 24, and it flushes denormals. That is
// 2^-9 of each element, which no choice of weights makes up for, so it is not used.
#if defined(__x86_64__)
#include "../avx2/vectors.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c"))), \
                             apply_to = function)

enum { LANES = 16, FEW_ROWS = 4, FEW_TILE = 5, MANY_ROWS = 8, STREAMED = 5 };
typedef __m512 floats;

XVK_INLINE floats zero(void) { return _mm512_setzero_ps(); }
XVK_INLINE floats fused(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }
XVK_INLINE void put(float *place, floats v) { _mm512_storeu_ps(place, v); }

XVK_INLINE floats widened(xvk_dtype dtype, __m256i numbers) {
  if (dtype == XVK_F16) return _mm512_cvtph_ps(numbers);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(numbers), 16));
}
XVK_INLINE floats load(xvk_dtype dtype, const unsigned char *place) {
  return dtype == XVK_F32 ? _mm512_loadu_ps(place) : widened(dtype, _mm256_loadu_si256((const void *)place));
}
XVK_INLINE floats load_first(xvk_dtype dtype, const unsigned char *place, int64_t count) {
  const __mmask16 some = (__mmask16)((1u << count) - 1);
  return dtype == XVK_F32 ? _mm512_maskz_loadu_ps(some, place) : widened(dtype, _mm256_maskz_loadu_epi16(some, place));
}

XVK_INLINE __m256 halves(floats v) { return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)); }
XVK_INLINE float sum_of(floats v) { return sum8(halves(v)); }
XVK_INLINE void sums_of(float sums[4], const floats v[4]) {
  const __m256 eight[4] = {halves(v[0]), halves(v[1]), halves(v[2]), halves(v[3])};
  sums8(sums, eight);
}

#include "../gemm_float.h"

void xvk_gemm_f32_f32_avx512(const void *work, int64_t begin, int64_t end) { gemm(XVK_F32, work, begin, end); }
void xvk_gemm_f32_f16_avx512(const void *work, int64_t begin, int64_t end) { gemm(XVK_F16, work, begin, end); }
void xvk_gemm_f32_bf16_avx512(const void *work, int64_t begin, int64_t end) { gemm(XVK_BF16, work, begin, end); }
void xvk_pack_f32_avx512(const void *work, int64_t begin, int64_t end) { pack(work, begin, end); }

#pragma clang attribute pop
#endif
