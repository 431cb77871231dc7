// attention.c -- causal softmax attention over a blocked KV cache, one query after the other.
//
//   q, out [tokens, heads, head_size] f32; key block [kv_heads, head_size, 64], value block [kv_heads, 64, head_size]
//
// Online softmax (Milakov & Gimelshein 2018): with m the largest score so far, s the sum of e^(score - m) and o the sum
// of e^(score - m) * V, a block whose scores raise m first scales s and o by e^(old m - new m). The result is o / s.
#include "../numbers.h"
#include <math.h>

// Adds one block, of which the query sees `count` positions, to the running (m, s, o).
static inline void add_block(xvk_number number, const xvk_attention_work *a, const float *q, const void *keys,
                             const void *values, int64_t kv_head, int64_t count, float *m, float *s, float *o) {
  const int64_t size = a->head_size, head = kv_head * size * XVK_KV_BLOCK;
  float p[XVK_KV_BLOCK], largest = *m, sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    float score = 0;
    for (int64_t d = 0; d < size; ++d) score += q[d] * xvk_load(number, keys, head + d * XVK_KV_BLOCK + i);
    p[i] = score * a->scale;
    largest = p[i] > largest ? p[i] : largest;
  }
  const float shrink = expf(*m - largest);
  for (int64_t i = 0; i < count; ++i) sum += p[i] = expf(p[i] - largest);
  *m = largest;
  *s = *s * shrink + sum;
  for (int64_t d = 0; d < size; ++d) o[d] *= shrink;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t d = 0; d < size; ++d) o[d] += p[i] * xvk_load(number, values, head + i * size + d);
}

static inline void attention(xvk_number number, const xvk_attention_work *a, int64_t begin, int64_t end) {
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t kv_head = unit / a->tiles, first = xvk_attention_first_query(a, unit % a->tiles);
    for (int64_t i = first; i < first + a->tile && i < a->queries; ++i) {
      const int64_t offset = xvk_attention_query_offset(a, kv_head, i), seen = xvk_attention_seen(a, i);
      float m = -INFINITY, s = 0, o[XVK_MAX_HEAD_SIZE] = {0};
      for (int64_t position = 0; position < seen; position += XVK_KV_BLOCK) {
        const int64_t block = position / XVK_KV_BLOCK, count = seen - position;
        add_block(number, a, a->q + offset, a->key_blocks[block], a->value_blocks[block], kv_head,
                  count < XVK_KV_BLOCK ? count : XVK_KV_BLOCK, &m, &s, o);
      }
      for (int64_t d = 0; d < a->head_size; ++d) a->out[offset + d] = o[d] / s;
    }
  }
}

void xvk_attention_f32_f32_reference(const void *work, int64_t begin, int64_t end) {
  attention(XVK_F32, work, begin, end);
}

void xvk_attention_f32_f16_reference(const void *work, int64_t begin, int64_t end) {
  attention(XVK_F16, work, begin, end);
}
