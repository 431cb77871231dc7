// kv_store.c -- the store of a KV cache with AVX2; kv_store.h has the method.
#if defined(__x86_64__)
#include "floats.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

XVK_INLINE void store(xvk_dtype dtype, unsigned char *place, floats v) {
  if (dtype == XVK_F32) {
    put((float *)(void *)place, v);
  } else if (dtype == XVK_F16) {
    _mm_storeu_si128((void *)place, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  } else {
    const __m256i codes = _mm256_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    _mm_storel_epi64((void *)place, _mm_packs_epi16(words, words));
  }
}

XVK_INLINE floats where_positive(floats x, floats by) {
  return _mm256_and_ps(x, _mm256_cmp_ps(by, zero(), _CMP_GT_OQ));
}

XVK_INLINE void transpose(floats v[LANES]) {
  floats pairs[8], fours[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) {
      fours[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + j + 2], 0x44);
      fours[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + j + 2], 0xEE);
    }
  }
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
    v[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
  }
}

#include "../kv_store.h"

void xvk_kv_store_f32_avx2(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F32, work, begin, end); }
void xvk_kv_store_f16_avx2(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F16, work, begin, end); }
void xvk_kv_store_int8_avx2(const void *work, int64_t begin, int64_t end) { kv_store(XVK_INT8, work, begin, end); }

#pragma clang attribute pop
#endif
