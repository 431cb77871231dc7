// gemm.c -- products with f32, f16 and bf16 weights with AVX2; gemm_float.h has the method.
//
// 2 rows x 6 tokens or 4 rows x 3 tokens fill 12 of the 16 registers with sums; the others hold W or x of the shorter side
// and one vector of the other.
#if defined(__x86_64__)
#include "floats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { FEW_ROWS = 2, FEW_TILE = 6, MANY_ROWS = 4, STREAMED = 16 };

XVK_INLINE void sums_of(float sums[4], const floats v[4]) { sums8(sums, v); }

#include "../gemm_float.h"

void xvk_gemm_f32_f32_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_F32, work, begin, end); }
void xvk_gemm_f32_f16_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_F16, work, begin, end); }
void xvk_gemm_f32_bf16_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_BF16, work, begin, end); }
void xvk_pack_f32_avx2(const void *work, int64_t begin, int64_t end) { pack(work, begin, end); }

#pragma clang attribute pop
#endif
