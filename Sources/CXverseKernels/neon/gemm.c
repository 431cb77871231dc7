// gemm.c -- products with f32, f16 and bf16 weights with NEON; gemm_float.h has the method.
//
// 4 rows x 6 tokens or 8 rows x 3 tokens fill 24 of the 32 registers with sums.
#if defined(__aarch64__)
#include "vectors.h"

enum { FEW_ROWS = 4, FEW_TILE = 6, MANY_ROWS = 8, STREAMED = 16 };

// The additions of sum_of for four vectors at once.
XVK_INLINE void sums_of(float sums[4], const floats v[4]) {
  put(sums, vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3])));
}

#include "../gemm_float.h"

void xvk_gemm_f32_f32_neon(const void *work, int64_t begin, int64_t end) { gemm(XVK_F32, work, begin, end); }
void xvk_gemm_f32_f16_neon(const void *work, int64_t begin, int64_t end) { gemm(XVK_F16, work, begin, end); }
void xvk_gemm_f32_bf16_neon(const void *work, int64_t begin, int64_t end) { gemm(XVK_BF16, work, begin, end); }
void xvk_pack_f32_neon(const void *work, int64_t begin, int64_t end) { pack(work, begin, end); }

#endif
