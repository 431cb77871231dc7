// attention.c -- causal softmax attention over a blocked KV cache, one query after the other.
//
//   q, out [tokens, heads, head_size] f32; in a block keys [kv_heads, head_size, positions], values
//   [kv_heads, positions, head_size]; int8: [kv_heads] of these numbers and then a scale for each position
//
// Online softmax (Milakov & Gimelshein 2018): with m the largest score so far, s the sum of e^(score - m) and o the sum
// of e^(score - m) * V, a step whose scores raise m first scales s and o by e^(old m - new m). Each chunk of positions
// begins anew; its (m, s, o) is then added to that of the chunks before it. The result is o / s.
#include <math.h>
#include "../numbers.h"

// A KV head in the block that holds a position.
static inline const unsigned char *head_at(xvk_dtype dtype, const xvk_attention_work *a, int64_t kv_head,
                                           int64_t position) {
  return (const unsigned char *)a->blocks[position / XVK_KV_BLOCK] + kv_head * xvk_kv_head_bytes(dtype, a->head_size);
}

// What element d of the key, or the value, of a position is without its scale, and that scale.
static inline float key_at(xvk_dtype dtype, const unsigned char *keys, int64_t position, int64_t d) {
  return xvk_load(dtype, keys, d * XVK_KV_BLOCK + position % XVK_KV_BLOCK);
}

static inline float value_at(xvk_dtype dtype, const unsigned char *values, int64_t position, int64_t d, int64_t size) {
  return xvk_load(dtype, values, position % XVK_KV_BLOCK * size + d);
}

static inline float scale_at(xvk_dtype dtype, const unsigned char *numbers, int64_t position, int64_t size) {
  return dtype == XVK_INT8 ? xvk_load(XVK_F32, numbers + XVK_KV_BLOCK * size, position % XVK_KV_BLOCK) : 1;
}

// Adds the `count` positions of a step that a query sees, from `first` on.
static inline void add_step(xvk_dtype dtype, const xvk_attention_work *a, xvk_softmax *state, int64_t kv_head,
                            const float *q, int64_t first, int64_t count) {
  const int64_t size = a->head_size;
  float p[XVK_ATTENTION_STEP], largest = state->m, sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const unsigned char *const keys = head_at(dtype, a, kv_head, first + i) + a->key_offset;
    float score = 0;
    for (int64_t d = 0; d < size; ++d) score += q[d] * key_at(dtype, keys, first + i, d);
    p[i] = score * scale_at(dtype, keys, first + i, size) * a->scale;
    largest = p[i] > largest ? p[i] : largest;
  }
  const float shrink = expf(state->m - largest);
  for (int64_t i = 0; i < count; ++i) sum += p[i] = expf(p[i] - largest);
  state->m = largest;
  state->s = state->s * shrink + sum;
  for (int64_t d = 0; d < size; ++d) state->o[d] *= shrink;
  for (int64_t i = 0; i < count; ++i) {
    const unsigned char *const values = head_at(dtype, a, kv_head, first + i) + a->value_offset;
    const float weight = p[i] * scale_at(dtype, values, first + i, size);
    for (int64_t d = 0; d < size; ++d) state->o[d] += weight * value_at(dtype, values, first + i, d, size);
  }
}

// Starts with nothing seen.
static void clear(xvk_softmax *state, int64_t size) {
  state->m = -INFINITY;
  state->s = 0;
  memset(state->o, 0, (size_t)size * sizeof *state->o);
}

static void merge(xvk_softmax *total, const xvk_softmax *chunk, int64_t size) {
  const float largest = chunk->m > total->m ? chunk->m : total->m;
  const float before = expf(total->m - largest), now = expf(chunk->m - largest);
  total->m = largest;
  total->s = total->s * before + chunk->s * now;
  for (int64_t d = 0; d < size; ++d) total->o[d] = total->o[d] * before + chunk->o[d] * now;
}

static void finish(float *out, const xvk_softmax *total, int64_t size) {
  for (int64_t d = 0; d < size; ++d) out[d] = total->o[d] / total->s;
}

static inline void add_chunk(xvk_dtype dtype, const xvk_attention_work *a, xvk_softmax *state, int64_t kv_head,
                             int64_t i, int64_t chunk) {
  const int64_t seen = xvk_attention_seen(a, i), end = (chunk + 1) * XVK_ATTENTION_CHUNK;
  const float *const q = a->q + xvk_attention_query_offset(a, kv_head, i);
  clear(state, a->head_size);
  for (int64_t first = chunk * XVK_ATTENTION_CHUNK; first < seen && first < end; first += XVK_ATTENTION_STEP) {
    const int64_t count = seen - first < XVK_ATTENTION_STEP ? seen - first : XVK_ATTENTION_STEP;
    add_step(dtype, a, state, kv_head, q, first, count);
  }
}

static inline void attention(xvk_dtype dtype, const xvk_attention_work *a, int64_t begin, int64_t end) {
  xvk_softmax state, total;
  for (int64_t u = begin; u < end; ++u) {
    const xvk_attention_unit unit = xvk_attention_unit_at(a, u);
    for (int64_t i = unit.first; i < unit.first + unit.queries; ++i) {
      if (a->parts > 1) {
        add_chunk(dtype, a, xvk_attention_partial(a, unit.kv_head, unit.chunk, i), unit.kv_head, i, unit.chunk);
        continue;
      }
      clear(&total, a->head_size);
      for (int64_t chunk = 0; chunk < xvk_attention_chunks(xvk_attention_seen(a, i)); ++chunk) {
        add_chunk(dtype, a, &state, unit.kv_head, i, chunk);
        merge(&total, &state, a->head_size);
      }
      finish(a->out + xvk_attention_query_offset(a, unit.kv_head, i), &total, a->head_size);
    }
  }
}

void xvk_attention_merge_reference(const void *work, int64_t begin, int64_t end) {
  const xvk_attention_work *const a = work;
  xvk_softmax total;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t kv_head = u / a->queries, i = u % a->queries;
    clear(&total, a->head_size);
    for (int64_t chunk = 0; chunk < xvk_attention_chunks(xvk_attention_seen(a, i)); ++chunk)
      merge(&total, xvk_attention_partial(a, kv_head, chunk, i), a->head_size);
    finish(a->out + xvk_attention_query_offset(a, kv_head, i), &total, a->head_size);
  }
}

void xvk_attention_f32_f32_reference(const void *work, int64_t begin, int64_t end) {
  attention(XVK_F32, work, begin, end);
}

void xvk_attention_f32_f16_reference(const void *work, int64_t begin, int64_t end) {
  attention(XVK_F16, work, begin, end);
}

void xvk_attention_f32_int8_reference(const void *work, int64_t begin, int64_t end) {
  attention(XVK_INT8, work, begin, end);
}
