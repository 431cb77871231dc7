// kv_store.c -- writes new keys and values into the blocks of a KV cache, rounded to the cache's numbers.
//
//   k, v [tokens, kv_heads, head_size] f32; key block [kv_heads, head_size, 64], value block [kv_heads, 64, head_size]
#include "../numbers.h"

static inline void store(xvk_number number, void *numbers, int64_t i, float value) {
  if (number == XVK_F32) {
    ((float *)numbers)[i] = value;
  } else {
    ((uint16_t *)numbers)[i] = xvk_narrow_f16(value);
  }
}

static inline void kv_store(xvk_number number, const xvk_kv_store_work *s, int64_t begin, int64_t end) {
  const int64_t size = s->head_size;
  for (int64_t unit = begin; unit < end; ++unit) {
    const xvk_kv_segment segment = xvk_kv_store_segment(s, unit);
    const int64_t head = segment.head * size * XVK_KV_BLOCK;
    for (int64_t i = 0; i < segment.count; ++i) {
      const int64_t slot = segment.slot + i;
      const int64_t source = ((segment.token + i) * s->kv_heads + segment.head) * size;
      for (int64_t d = 0; d < size; ++d) {
        store(number, s->key_blocks[segment.block], head + d * XVK_KV_BLOCK + slot, s->k[source + d]);
        store(number, s->value_blocks[segment.block], head + slot * size + d, s->v[source + d]);
      }
    }
  }
}

void xvk_kv_store_f32_reference(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F32, work, begin, end); }
void xvk_kv_store_f16_reference(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F16, work, begin, end); }
