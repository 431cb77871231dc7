// kv_store.c -- writes new keys and values into the blocks of a KV cache, rounded to the cache's numbers.
//
//   k, v [tokens, kv_heads, head_size] f32; in a block keys [kv_heads, head_size, positions], values
//   [kv_heads, positions, head_size]; int8: [kv_heads] of these numbers and then a scale for each position
#include <math.h>
#include "../numbers.h"

static inline void store(xvk_dtype dtype, unsigned char *numbers, int64_t i, float value, float inverse) {
  if (dtype == XVK_F32) {
    ((float *)(void *)numbers)[i] = value;
  } else if (dtype == XVK_F16) {
    ((uint16_t *)(void *)numbers)[i] = xvk_narrow_f16(value);
  } else {
    ((signed char *)numbers)[i] = inverse > 0 ? (signed char)rintf(value * inverse) : 0;
  }
}

static uint32_t largest_magnitude(const float *x, int64_t size) {
  uint32_t largest = 0;
  for (int64_t d = 0; d < size; ++d) {
    const uint32_t magnitude = xvk_bits_of_float(x[d]) & 0x7FFFFFFF;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

// One vector x [size]: number d at first + d * stride, the scale at `slot` behind all numbers.
static inline void store_vector(xvk_dtype dtype, unsigned char *head, int64_t first, int64_t stride, int64_t slot,
                                const float *x, int64_t size) {
  xvk_kv_steps steps = {0, 0};
  if (dtype == XVK_INT8) {
    steps = xvk_kv_steps_of(largest_magnitude(x, size));
    ((float *)(void *)(head + XVK_KV_BLOCK * size))[slot] = steps.scale;
  }
  for (int64_t d = 0; d < size; ++d) store(dtype, head, first + d * stride, x[d], steps.inverse);
}

static inline void kv_store(xvk_dtype dtype, const xvk_kv_store_work *s, int64_t begin, int64_t end) {
  const int64_t size = s->head_size;
  for (int64_t unit = begin; unit < end; ++unit) {
    const xvk_kv_run run = xvk_kv_store_run(s, unit);
    const int64_t head = run.head * xvk_kv_head_bytes(dtype, size);
    unsigned char *const keys = (unsigned char *)s->blocks[run.block] + s->key_offset + head;
    unsigned char *const values = (unsigned char *)s->blocks[run.block] + s->value_offset + head;
    for (int64_t i = 0; i < run.count; ++i) {
      const int64_t slot = run.slot + i;
      const int64_t source = ((run.token + i) * s->kv_heads + run.head) * size;
      store_vector(dtype, keys, slot, XVK_KV_BLOCK, slot, s->k + source, size);
      store_vector(dtype, values, slot * size, 1, slot, s->v + source, size);
    }
  }
}

void xvk_kv_store_f32_reference(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F32, work, begin, end); }
void xvk_kv_store_f16_reference(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F16, work, begin, end); }
void xvk_kv_store_int8_reference(const void *work, int64_t begin, int64_t end) { kv_store(XVK_INT8, work, begin, end); }
