// gemm.c -- products with f32, f16 and bf16 weights with AVX2; gemm_float.h has the method.
//
// 2 rows x 6 tokens or 4 rows x 3 tokens fill 12 of the 16 registers with sums; the others hold W or x of the shorter side
// and one vector of the other.
#if defined(__x86_64__)
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { LANES = 8, FEW_ROWS = 2, MANY_ROWS = 4 };
typedef __m256 floats;

XVK_INLINE floats zero(void) { return _mm256_setzero_ps(); }
XVK_INLINE floats fused(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
XVK_INLINE floats load(xvk_dtype dtype, const unsigned char *place) { return load8(dtype, place); }
XVK_INLINE floats get(const float *place) { return _mm256_load_ps(place); }
XVK_INLINE void put(float *place, floats v) { _mm256_store_ps(place, v); }
XVK_INLINE float sum_of(floats v) { return sum8(v); }

// The additions of sum8 for four vectors at once.
XVK_INLINE void sums_of(float sums[4], const floats v[4]) {
  __m128 four[4];
  for (int i = 0; i < 4; ++i) four[i] = _mm_add_ps(_mm256_castps256_ps128(v[i]), _mm256_extractf128_ps(v[i], 1));
  const __m128 a = _mm_add_ps(_mm_movelh_ps(four[0], four[1]), _mm_movehl_ps(four[1], four[0]));
  const __m128 b = _mm_add_ps(_mm_movelh_ps(four[2], four[3]), _mm_movehl_ps(four[3], four[2]));
  _mm_storeu_ps(sums, _mm_add_ps(_mm_shuffle_ps(a, b, 0x88), _mm_shuffle_ps(a, b, 0xDD)));
}

#include "../gemm_float.h"

void xvk_gemm_f32_f32_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_F32, work, begin, end); }
void xvk_gemm_f32_f16_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_F16, work, begin, end); }
void xvk_gemm_f32_bf16_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_BF16, work, begin, end); }
void xvk_pack_f32_avx2(const void *work, int64_t begin, int64_t end) { pack(work, begin, end); }

#pragma clang attribute pop
#endif
