// kv_store.c -- writes new keys and values into the blocks of a KV cache, rounded to the cache's numbers.
//
//   k, v [tokens, kv_heads, head_size] f32; in a block keys [kv_heads, head_size, positions], values
//   [kv_heads, positions, head_size]; int8: [kv_heads] of these numbers and then a scale for each position
//
// Keys are turned from token-major to position-innermost in squares of 8 x 8. Bound: the cache lines of the key blocks,
// as one token touches one for each number.
#if defined(__x86_64__)
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

// Writes 8 numbers.
XVK_INLINE void store8(xvk_dtype dtype, unsigned char *place, __m256 v) {
  if (dtype == XVK_F32) {
    _mm256_storeu_ps((void *)place, v);
  } else if (dtype == XVK_F16) {
    _mm_storeu_si128((void *)place, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  } else {
    const __m256i codes = _mm256_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    _mm_storel_epi64((void *)place, _mm_packs_epi16(words, words));
  }
}

// Writes the first `count` of 8 numbers.
XVK_INLINE void store_some(xvk_dtype dtype, unsigned char *place, __m256 v, int64_t count) {
  unsigned char numbers[32];
  if (count == 8) {
    store8(dtype, place, v);
  } else {
    store8(dtype, numbers, v);
    memcpy(place, numbers, (size_t)(count * xvk_dtype_size(dtype)));
  }
}

// int8: x in units of its scale, 0 where there is none.
XVK_INLINE __m256 in_steps(xvk_dtype dtype, __m256 x, __m256 inverse) {
  if (dtype != XVK_INT8) return x;
  const __m256 stored = _mm256_cmp_ps(inverse, _mm256_setzero_ps(), _CMP_GT_OQ);
  return _mm256_mul_ps(_mm256_and_ps(x, stored), inverse);
}

// The bits of the largest magnitude; those of NaN are above all others.
XVK_INLINE uint32_t largest_magnitude(const float *x, int64_t size) {
  const __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF);
  __m256i largest = _mm256_setzero_si256();
  for (int64_t d = 0; d < size; d += 8) {
    const unsigned char *const place = (const unsigned char *)(x + d);
    const __m256 v = size - d < 8 ? load_some(XVK_F32, place, size - d) : load8(XVK_F32, place);
    largest = _mm256_max_epu32(largest, _mm256_and_si256(_mm256_castps_si256(v), magnitude));
  }
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4E));
  return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(four, _mm_shuffle_epi32(four, 0xB1)));
}

// Turns rows into columns.
XVK_INLINE void transpose8(__m256 v[8]) {
  __m256 pairs[8], fours[8];
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

// One token of one head.
XVK_INLINE void store_key(xvk_dtype dtype, unsigned char *keys, const float *k, int64_t size, float inverse) {
  const int64_t bytes = xvk_dtype_size(dtype), row = XVK_KV_BLOCK * bytes;
  for (int64_t d = 0; d < size; d += 8) {
    const int64_t dims = size - d < 8 ? size - d : 8;
    const unsigned char *const place = (const unsigned char *)(k + d);
    const __m256 v = dims < 8 ? load_some(XVK_F32, place, dims) : load8(XVK_F32, place);
    unsigned char numbers[32];
    store8(dtype, numbers, in_steps(dtype, v, _mm256_set1_ps(inverse)));
    for (int64_t j = 0; j < dims; ++j) memcpy(keys + (d + j) * row, numbers + j * bytes, (size_t)bytes);
  }
}

// Up to 8 tokens of one head: k [tokens, stride] into the slots from `keys` on.
XVK_INLINE void store_keys(xvk_dtype dtype, unsigned char *keys, const float *k, int64_t stride, int64_t tokens,
                           int64_t size, const float *inverses) {
  const int64_t row = XVK_KV_BLOCK * xvk_dtype_size(dtype);
  for (int64_t d = 0; d < size; d += 8) {
    const int64_t dims = size - d < 8 ? size - d : 8;
    __m256 v[8];
    for (int i = 0; i < 8; ++i) {
      const unsigned char *const place = (const unsigned char *)(k + i * stride + d);
      v[i] = i >= tokens ? _mm256_setzero_ps() : dims < 8 ? load_some(XVK_F32, place, dims) : load8(XVK_F32, place);
    }
    transpose8(v);
    for (int j = 0; j < 8; ++j)
      if (j < dims) store_some(dtype, keys + (d + j) * row, in_steps(dtype, v[j], _mm256_loadu_ps(inverses)), tokens);
  }
}

XVK_INLINE void store_values(xvk_dtype dtype, unsigned char *values, const float *v, int64_t size, float inverse) {
  const int64_t bytes = xvk_dtype_size(dtype);
  const __m256 inverses = _mm256_set1_ps(inverse);
  int64_t d = 0;
  for (; d + 8 <= size; d += 8)
    store_some(dtype, values + d * bytes, in_steps(dtype, _mm256_loadu_ps(v + d), inverses), 8);
  if (d == size) return;
  const __m256 last = load_some(XVK_F32, (const void *)(v + d), size - d);
  store_some(dtype, values + d * bytes, in_steps(dtype, last, inverses), size - d);
}

// int8: the scale of a vector goes to *scale; returns its inverse.
XVK_INLINE float store_scale(float *scale, const float *x, int64_t size) {
  const xvk_kv_steps steps = xvk_kv_steps_of(largest_magnitude(x, size));
  *scale = steps.scale;
  return steps.inverse;
}

// Up to 8 tokens of one head: k, v [tokens, stride] into the slots `slot` and up.
XVK_INLINE void store_tokens(xvk_dtype dtype, unsigned char *keys, unsigned char *values, int64_t slot, const float *k,
                             const float *v, int64_t stride, int64_t tokens, int64_t size) {
  const int64_t bytes = xvk_dtype_size(dtype), numbers = XVK_KV_BLOCK * size * bytes;
  float of_keys[8] = {0}, of_values[8] = {0};
  for (int64_t i = 0; i < tokens && dtype == XVK_INT8; ++i) {
    of_keys[i] = store_scale((float *)(void *)(keys + numbers) + slot + i, k + i * stride, size);
    of_values[i] = store_scale((float *)(void *)(values + numbers) + slot + i, v + i * stride, size);
  }
  if (tokens == 1) {
    store_key(dtype, keys + slot * bytes, k, size, of_keys[0]);
  } else {
    store_keys(dtype, keys + slot * bytes, k, stride, tokens, size, of_keys);
  }
  for (int64_t i = 0; i < tokens; ++i)
    store_values(dtype, values + (slot + i) * size * bytes, v + i * stride, size, of_values[i]);
}

XVK_INLINE void kv_store(xvk_dtype dtype, const xvk_kv_store_work *s, int64_t begin, int64_t end) {
  const int64_t size = s->head_size, stride = s->kv_heads * size;
  for (int64_t unit = begin; unit < end; ++unit) {
    const xvk_kv_run run = xvk_kv_store_run(s, unit);
    const int64_t head = run.head * xvk_kv_head_bytes(dtype, size);
    unsigned char *const keys = (unsigned char *)s->blocks[run.block] + s->key_offset + head;
    unsigned char *const values = (unsigned char *)s->blocks[run.block] + s->value_offset + head;
    for (int64_t i = 0; i < run.count; i += 8) {
      const int64_t source = (run.token + i) * stride + run.head * size;
      const int64_t tokens = run.count - i < 8 ? run.count - i : 8;
      store_tokens(dtype, keys, values, run.slot + i, s->k + source, s->v + source, stride, tokens, size);
    }
  }
}

void xvk_kv_store_f32_avx2(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F32, work, begin, end); }
void xvk_kv_store_f16_avx2(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F16, work, begin, end); }
void xvk_kv_store_int8_avx2(const void *work, int64_t begin, int64_t end) { kv_store(XVK_INT8, work, begin, end); }

#pragma clang attribute pop
#endif
