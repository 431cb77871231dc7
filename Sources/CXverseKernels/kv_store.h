// kv_store.h -- writes new keys and values into the blocks of a KV cache, rounded to the cache's numbers: the template of
// avx2/ and neon/kv_store.c.
//
//   k, v [tokens, kv_heads, head_size] f32; in a block keys [kv_heads, head_size, positions], values
//   [kv_heads, positions, head_size]; int8: [kv_heads] of these numbers and then a scale for each position
//
// Keys are turned from token-major to position-innermost in squares of LANES x LANES. Bound: the cache lines of the key
// blocks, as one token touches one for each number.
//
// An includer brings the vectors of avx2/floats.h or neon/vectors.h and defines
//   void store(dtype, place, floats): LANES numbers, rounded to the nearest, even
//   floats where_positive(floats x, floats by): x in lanes where by > 0, else 0
//   void transpose(floats v[LANES]): turns rows into columns
#include "numbers.h"

// Writes the first `count` of LANES numbers.
XVK_INLINE void store_first(xvk_dtype dtype, unsigned char *place, floats v, int64_t count) {
  unsigned char numbers[4 * LANES];
  if (count == LANES) {
    store(dtype, place, v);
  } else {
    store(dtype, numbers, v);
    memcpy(place, numbers, (size_t)(count * xvk_dtype_size(dtype)));
  }
}

// `count` <= LANES floats, then zeros.
XVK_INLINE floats load_floats(const float *x, int64_t count) {
  return count < LANES ? load_first(XVK_F32, x, count) : load(XVK_F32, x);
}

XVK_INLINE int64_t at_most_lanes(int64_t count) { return count < LANES ? count : LANES; }

// int8: x in units of its scale, 0 where there is none.
XVK_INLINE floats in_steps(xvk_dtype dtype, floats x, floats inverse) {
  return dtype == XVK_INT8 ? multiply(where_positive(x, inverse), inverse) : x;
}

// The bits of the largest magnitude; those of NaN are above all others.
XVK_INLINE uint32_t largest_magnitude(const float *x, int64_t size) {
  words largest = magnitudes(zero());
  for (int64_t d = 0; d < size; d += LANES)
    largest = larger_words(largest, magnitudes(load_floats(x + d, at_most_lanes(size - d))));
  return largest_word(largest);
}

// One token of one head.
XVK_INLINE void store_key(xvk_dtype dtype, unsigned char *keys, const float *k, int64_t size, float inverse) {
  const int64_t bytes = xvk_dtype_size(dtype), row = XVK_KV_BLOCK * bytes;
  for (int64_t d = 0; d < size; d += LANES) {
    const int64_t dims = at_most_lanes(size - d);
    unsigned char numbers[4 * LANES];
    store(dtype, numbers, in_steps(dtype, load_floats(k + d, dims), each(inverse)));
    for (int64_t j = 0; j < dims; ++j) memcpy(keys + (d + j) * row, numbers + j * bytes, (size_t)bytes);
  }
}

// Up to LANES tokens of one head: k [tokens, stride] into the slots from `keys` on.
XVK_INLINE void store_keys(xvk_dtype dtype, unsigned char *keys, const float *k, int64_t stride, int64_t tokens,
                           int64_t size, const float *inverses) {
  const int64_t row = XVK_KV_BLOCK * xvk_dtype_size(dtype);
  for (int64_t d = 0; d < size; d += LANES) {
    const int64_t dims = at_most_lanes(size - d);
    floats v[LANES];
    for (int i = 0; i < LANES; ++i) v[i] = i < tokens ? load_floats(k + i * stride + d, dims) : zero();
    transpose(v);
    for (int j = 0; j < LANES; ++j)
      if (j < dims) store_first(dtype, keys + (d + j) * row, in_steps(dtype, v[j], load(XVK_F32, inverses)), tokens);
  }
}

XVK_INLINE void store_values(xvk_dtype dtype, unsigned char *values, const float *v, int64_t size, float inverse) {
  const int64_t bytes = xvk_dtype_size(dtype), whole = size / LANES * LANES, rest = size - whole;
  const floats inverses = each(inverse);
  for (int64_t d = 0; d < whole; d += LANES)
    store(dtype, values + d * bytes, in_steps(dtype, load(XVK_F32, v + d), inverses));
  if (rest == 0) return;
  const floats last = in_steps(dtype, load_first(XVK_F32, v + whole, rest), inverses);
  store_first(dtype, values + whole * bytes, last, rest);
}

// int8: the scale of a vector goes to *scale; returns its inverse.
XVK_INLINE float store_scale(float *scale, const float *x, int64_t size) {
  const xvk_kv_steps steps = xvk_kv_steps_of(largest_magnitude(x, size));
  *scale = steps.scale;
  return steps.inverse;
}

// Up to LANES tokens of one head: k, v [tokens, stride] into the slots `slot` and up.
XVK_INLINE void store_tokens(xvk_dtype dtype, unsigned char *keys, unsigned char *values, int64_t slot, const float *k,
                             const float *v, int64_t stride, int64_t tokens, int64_t size) {
  const int64_t bytes = xvk_dtype_size(dtype), numbers = XVK_KV_BLOCK * size * bytes;
  float of_keys[LANES] = {0}, of_values[LANES] = {0};
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
    for (int64_t i = 0; i < run.count; i += LANES) {
      const int64_t source = (run.token + i) * stride + run.head * size;
      const int64_t tokens = at_most_lanes(run.count - i);
      store_tokens(dtype, keys, values, run.slot + i, s->k + source, s->v + source, stride, tokens, size);
    }
  }
}
