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

typedef struct {
  __m256 values[4];
} group_values;

// A group of which count <= 32 numbers are there.
XVK_INLINE group_values load_group(const float *x, int64_t count) {
  group_values g;
  for (int i = 0; i < 4; ++i) {
    const int64_t left = count - 8 * i;
    const unsigned char *const place = (const unsigned char *)(x + 8 * i);
    g.values[i] = left >= 8 ? load8(XVK_F32, place) : left > 0 ? load_some(XVK_F32, place, left) : _mm256_setzero_ps();
  }
  return g;
}

XVK_INLINE float largest_of(const group_values *g) {
  __m256i largest = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i) {
    const __m256i magnitude = _mm256_and_si256(_mm256_castps_si256(g->values[i]), _mm256_set1_epi32(0x7FFFFFFF));
    largest = _mm256_max_epu32(largest, magnitude);
  }
  return xvk_float_from_bits((uint32_t)largest_u32(largest));
}

XVK_INLINE int64_t columns_of(const xvk_pack_work *p, int64_t group) {
  const int64_t left = p->cols - group * XVK_GROUP;
  return left < XVK_GROUP ? left : XVK_GROUP;
}

// Adds the squared units that a group would have with each factor.
XVK_INLINE __m256 add_units(__m256 sums, float largest) {
  if (!(largest >= 0x1p-100f && largest < INFINITY)) return sums;
  const __m256 least = _mm256_mul_ps(_mm256_set1_ps(largest * 0x1p-7f), _mm256_loadu_ps(xvk_inverse_factors));
  const __m256i up = _mm256_add_epi32(_mm256_castps_si256(least), _mm256_set1_epi32(0x7FFFFF));
  const __m256 scales = _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(0x7F800000)));
  const __m256 units = _mm256_mul_ps(_mm256_loadu_ps(xvk_factors), scales);
  return _mm256_fmadd_ps(units, units, sums);
}

// One group of one token of a tile of `tokens`.
XVK_INLINE void pack_group(xvk_dtype dtype, unsigned char *packed, const group_values *g, float largest, int64_t token,
                           int64_t tokens, float inverse_factor, const xvk_pack_work *p) {
  const int32_t largest_q = dtype == XVK_INT8 ? INT16_MAX : INT8_MAX;
  const int64_t scales = (xvk_packed_size(dtype) - 8) * tokens;
  const float scale = xvk_pack_scale(dtype, largest, inverse_factor);
  const float inverse = scale > 0 ? inverse_factor / scale : 0;
  const float stored = p->has_exponents ? xvk_stored_scale(dtype, scale * p->unit) : scale * p->unit;
  __m256i q[4];
  for (int i = 0; i < 4; ++i) {
    const __m256 value = _mm256_mul_ps(g->values[i], _mm256_set1_ps(inverse));
    const __m256i rounded = _mm256_cvtps_epi32(_mm256_and_ps(value, _mm256_cmp_ps(value, value, _CMP_ORD_Q)));
    q[i] = _mm256_max_epi32(_mm256_min_epi32(rounded, _mm256_set1_epi32(largest_q)), _mm256_set1_epi32(-largest_q));
  }
  // Packing works in halves of a vector: quarters 0 2 1 3 of s16, steps 0 4 1 5 2 6 3 7 of s8.
  const __m256i low = _mm256_packs_epi32(q[0], q[1]), high = _mm256_packs_epi32(q[2], q[3]);
  unsigned char *const place = packed + token * XVK_STEP;
  int32_t minus_sum = 0;
  if (dtype == XVK_INT8) {
    store_steps(place, _mm256_permute4x64_epi64(low, 0xD8), tokens);
    store_steps(place + 8 * tokens * XVK_STEP, _mm256_permute4x64_epi64(high, 0xD8), tokens);
  } else {
    const __m256i bytes = _mm256_packs_epi16(low, high);
    store_steps(place, _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)), tokens);
    minus_sum = -sum_s32(_mm256_add_epi32(_mm256_add_epi32(q[0], q[1]), _mm256_add_epi32(q[2], q[3])));
  }
  if (p->has_exponents) minus_sum = xvk_stored_sum(p->tokens, stored, minus_sum);
  memcpy(packed + scales + 4 * token, &stored, sizeof stored);
  memcpy(packed + scales + 4 * tokens + 4 * token, &minus_sum, sizeof minus_sum);
}

// Where the scale of a token will stand, and until then the largest magnitude of its group.
XVK_INLINE unsigned char *scale_place(xvk_dtype dtype, unsigned char *packed, int64_t token, int64_t tokens) {
  return packed + (xvk_packed_size(dtype) - 8) * tokens + 4 * token;
}

XVK_INLINE void pack(xvk_dtype dtype, const xvk_pack_work *p, int64_t begin, int64_t end) {
  const int64_t groups = xvk_groups(p->cols), size = xvk_packed_size(dtype);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t first = tile * p->tile, left = p->tokens - first, tokens = left < p->tile ? left : p->tile;
    unsigned char *const packed = p->packed + first * groups * size;
    for (int64_t t = 0; t < tokens; ++t) {
      const float *const x = p->x + (first + t) * p->cols;
      __m256 sums = _mm256_setzero_ps();
      for (int64_t group = 0; group < groups; ++group) {
        const group_values g = load_group(x + group * XVK_GROUP, columns_of(p, group));
        const float largest = largest_of(&g);
        if (dtype != XVK_INT8) sums = add_units(sums, largest);
        memcpy(scale_place(dtype, packed + group * tokens * size, t, tokens), &largest, sizeof largest);
      }
      float units[XVK_FACTORS];
      _mm256_storeu_ps(units, sums);
      const int32_t factor = xvk_least(units);
      p->factors[first + t] = xvk_factors[factor];
      for (int64_t group = 0; group < groups; ++group) {
        unsigned char *const place = packed + group * tokens * size;
        const group_values g = load_group(x + group * XVK_GROUP, columns_of(p, group));
        const float largest = xvk_load_f32(scale_place(dtype, place, t, tokens));
        pack_group(dtype, place, &g, largest, t, tokens, xvk_inverse_factors[factor], p);
      }
    }
  }
}

void xvk_pack_s16_avx2(const void *work, int64_t begin, int64_t end) { pack(XVK_INT8, work, begin, end); }
void xvk_pack_s8_avx2(const void *work, int64_t begin, int64_t end) { pack(XVK_INT4, work, begin, end); }

#pragma clang attribute pop
#endif
