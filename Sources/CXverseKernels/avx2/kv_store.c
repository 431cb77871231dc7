// kv_store.c -- writes new keys and values into the blocks of a KV cache, rounded to the cache's numbers.
//
//   k, v [tokens, kv_heads, head_size] f32; key block [kv_heads, head_size, 64], value block [kv_heads, 64, head_size]
//
// Keys are turned from token-major to position-innermost in squares of 8 x 8.
#if defined(__x86_64__)
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

// Writes the first `count` of 8 numbers.
XVK_INLINE void store_some(xvk_number number, unsigned char *place, __m256 v, int64_t count) {
  unsigned char numbers[32];
  if (number == XVK_F32) {
    _mm256_storeu_ps((void *)numbers, v);
  } else {
    _mm_storeu_si128((void *)numbers, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  memcpy(place, numbers, (size_t)(count * xvk_number_size(number)));
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

// Up to 8 tokens of one head: k [tokens, stride] into the slots from `keys` on.
XVK_INLINE void store_keys(xvk_number number, unsigned char *keys, const float *k, int64_t stride, int64_t tokens,
                           int64_t size) {
  const int64_t row = XVK_KV_BLOCK * xvk_number_size(number);
  for (int64_t d = 0; d < size; d += 8) {
    const int64_t dims = size - d < 8 ? size - d : 8;
    __m256 v[8];
    for (int i = 0; i < 8; ++i) {
      const unsigned char *const place = (const unsigned char *)(k + i * stride + d);
      v[i] = i >= tokens ? _mm256_setzero_ps() : dims < 8 ? load_some(XVK_F32, place, dims) : load8(XVK_F32, place);
    }
    transpose8(v);
    for (int j = 0; j < 8; ++j)
      if (j < dims) store_some(number, keys + (d + j) * row, v[j], tokens);
  }
}

XVK_INLINE void store_values(xvk_number number, unsigned char *values, const float *v, int64_t size) {
  const int64_t bytes = xvk_number_size(number);
  int64_t d = 0;
  for (; d + 8 <= size; d += 8) store_some(number, values + d * bytes, _mm256_loadu_ps(v + d), 8);
  if (d < size) store_some(number, values + d * bytes, load_some(XVK_F32, (const void *)(v + d), size - d), size - d);
}

XVK_INLINE void kv_store(xvk_number number, const xvk_kv_store_work *s, int64_t begin, int64_t end) {
  const int64_t size = s->head_size, stride = s->kv_heads * size, bytes = xvk_number_size(number);
  for (int64_t unit = begin; unit < end; ++unit) {
    const xvk_kv_segment segment = xvk_kv_store_segment(s, unit);
    const int64_t head = segment.head * size * XVK_KV_BLOCK * bytes;
    const int64_t source = segment.token * stride + segment.head * size;
    unsigned char *const keys = (unsigned char *)s->key_blocks[segment.block] + head + segment.slot * bytes;
    unsigned char *const values = (unsigned char *)s->value_blocks[segment.block] + head + segment.slot * size * bytes;
    int64_t i = 0;
    for (; i + 8 <= segment.count; i += 8)
      store_keys(number, keys + i * bytes, s->k + source + i * stride, stride, 8, size);
    if (i < segment.count)
      store_keys(number, keys + i * bytes, s->k + source + i * stride, stride, segment.count - i, size);
    for (i = 0; i < segment.count; ++i)
      store_values(number, values + i * size * bytes, s->v + source + i * stride, size);
  }
}

void xvk_kv_store_f32_avx2(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F32, work, begin, end); }
void xvk_kv_store_f16_avx2(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F16, work, begin, end); }

#pragma clang attribute pop
#endif
