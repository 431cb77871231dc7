// pack.c -- activations as integers with AVX2; pack.h has the method.
#if defined(__x86_64__)
#include "floats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

typedef __m256i integers;

XVK_INLINE integers nearest(floats v, int32_t most) {
  const __m256i rounded = _mm256_cvtps_epi32(_mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q)));
  return _mm256_max_epi32(_mm256_min_epi32(rounded, _mm256_set1_epi32(most)), _mm256_set1_epi32(-most));
}

XVK_INLINE integers add_integers(integers a, integers b) { return _mm256_add_epi32(a, b); }

XVK_INLINE int32_t sum_of_integers(integers v) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
}

XVK_INLINE floats power_above(floats v) {
  const __m256i up = _mm256_add_epi32(_mm256_castps_si256(v), _mm256_set1_epi32(0x7FFFFF));
  return _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(0x7F800000)));
}

// Packing works in halves of a vector: quarters 0 2 1 3 of s16, steps 0 4 1 5 2 6 3 7 of s8.
XVK_INLINE void store_group(xvk_dtype dtype, unsigned char *place, const integers q[4]) {
  const __m256i low = _mm256_packs_epi32(q[0], q[1]), high = _mm256_packs_epi32(q[2], q[3]);
  if (dtype == XVK_INT8) {
    _mm256_storeu_si256((void *)place, _mm256_permute4x64_epi64(low, 0xD8));
    _mm256_storeu_si256((void *)(place + 32), _mm256_permute4x64_epi64(high, 0xD8));
  } else {
    const __m256i steps = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((void *)place, _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), steps));
  }
}

#include "../pack.h"

void xvk_pack_s16_avx2(const void *work, int64_t begin, int64_t end) { pack(XVK_INT8, work, begin, end); }
void xvk_pack_s8_avx2(const void *work, int64_t begin, int64_t end) { pack(XVK_INT4, work, begin, end); }

#pragma clang attribute pop
#endif
