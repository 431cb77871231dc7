// pack.c -- activations as integers, 8 at a time; reference/pack.c has the meaning. Bound: reading x from the L2.
#if defined(__x86_64__)
#include "../quantized.h"
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

XVK_INLINE int32_t largest_u32(__m256i v) {
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_max_epu32(four, _mm_shuffle_epi32(four, 0xB1)));
}

XVK_INLINE int32_t sum_s32(__m256i v) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
}

// The 8 steps of a vector to where those of a token stand.
XVK_INLINE void store_steps(unsigned char *packed, __m256i steps, int64_t tokens) {
  if (tokens == 1) {
    _mm256_storeu_si256((void *)packed, steps);
    return;
  }
  int32_t step[8];
  _mm256_storeu_si256((void *)step, steps);
  for (int i = 0; i < 8; ++i) memcpy(packed + i * tokens * XVK_STEP, &step[i], sizeof step[i]);
}

// One group of one token of a tile of `tokens`; count <= 32 numbers are there.
XVK_INLINE void pack_group(xvk_number number, unsigned char *packed, const float *x, int64_t count, int64_t token,
                           int64_t tokens, const xvk_pack_work *p) {
  const float largest_q = number == XVK_INT8 ? 32767 : 127;
  const int64_t scales = XVK_STEP * (number == XVK_INT8 ? XVK_INT8_STEPS : XVK_INT4_STEPS) * tokens;
  __m256 values[4];
  __m256i largest = _mm256_setzero_si256(), q[4];
  for (int i = 0; i < 4; ++i) {
    const int64_t left = count - 8 * i;
    const unsigned char *const place = (const unsigned char *)(x + 8 * i);
    values[i] = left >= 8 ? load8(XVK_F32, place) : left > 0 ? load_some(XVK_F32, place, left) : _mm256_setzero_ps();
    const __m256i magnitude = _mm256_and_si256(_mm256_castps_si256(values[i]), _mm256_set1_epi32(0x7FFFFFFF));
    largest = _mm256_max_epu32(largest, magnitude);
  }
  const float limit = xvk_float_from_bits((uint32_t)largest_u32(largest));
  const int vanishes = limit < 0x1p-100f;
  const float scale = vanishes ? 0 : limit / largest_q * p->unit;
  const float inverse = vanishes ? 0 : largest_q / limit;
  for (int i = 0; i < 4; ++i) {
    const __m256 value = _mm256_mul_ps(values[i], _mm256_set1_ps(inverse));
    q[i] = _mm256_cvtps_epi32(_mm256_and_ps(value, _mm256_cmp_ps(value, value, _CMP_ORD_Q)));
  }
  // Packing saturates and works in halves of a vector: quarters 0 2 1 3 of s16, steps 0 4 1 5 2 6 3 7 of s8.
  const __m256i low = _mm256_packs_epi32(q[0], q[1]), high = _mm256_packs_epi32(q[2], q[3]);
  unsigned char *const place = packed + token * XVK_STEP;
  int32_t sum = 0;
  if (number == XVK_INT8) {
    store_steps(place, _mm256_permute4x64_epi64(low, 0xD8), tokens);
    store_steps(place + 8 * tokens * XVK_STEP, _mm256_permute4x64_epi64(high, 0xD8), tokens);
  } else {
    const __m256i bytes = _mm256_add_epi8(_mm256_packs_epi16(low, high), _mm256_set1_epi8((char)p->offset));
    store_steps(place, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)), tokens);
    sum = sum_s32(_mm256_add_epi32(_mm256_add_epi32(q[0], q[1]), _mm256_add_epi32(q[2], q[3])));
  }
  memcpy(packed + scales + 4 * token, &scale, sizeof scale);
  memcpy(packed + scales + 4 * tokens + 4 * token, &sum, sizeof sum);
}

XVK_INLINE void pack(xvk_number number, const xvk_pack_work *p, int64_t begin, int64_t end) {
  const int64_t groups = xvk_groups(p->cols), size = xvk_packed_size(number);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t first = tile * p->tile, left = p->tokens - first, tokens = left < p->tile ? left : p->tile;
    for (int64_t group = 0; group < groups; ++group) {
      unsigned char *const packed = p->packed + (first * groups + group * tokens) * size;
      const int64_t col = group * XVK_GROUP, count = p->cols - col < XVK_GROUP ? p->cols - col : XVK_GROUP;
      for (int64_t t = 0; t < tokens; ++t)
        pack_group(number, packed, p->x + (first + t) * p->cols + col, count, t, tokens, p);
    }
  }
}

void xvk_pack_s16_avx2(const void *work, int64_t begin, int64_t end) { pack(XVK_INT8, work, begin, end); }
void xvk_pack_s8_avx2(const void *work, int64_t begin, int64_t end) { pack(XVK_INT4, work, begin, end); }

#pragma clang attribute pop
#endif
