// attention.c -- causal softmax attention over a blocked KV cache, one query after the other.
//
//   q, out [tokens, heads, head_size] f32; key block [kv_heads, head_size, 64], value block [kv_heads, 64, head_size];
//   int8: [kv_heads] of these numbers and then a scale for each of the 64 positions
//
// Online softmax (Milakov & Gimelshein 2018): with m the largest score so far, s the sum of e^(score - m) and o the sum
// of e^(score - m) * V, a block whose scores raise m first scales s and o by e^(old m - new m). Each chunk of positions
// begins anew; its (m, s, o) is then added to that of the chunks before it. The result is o / s.
#include "../numbers.h"
#include <math.h>

static inline float scale_of(xvk_dtype dtype, const unsigned char *numbers, int64_t size, int64_t i) {
  return dtype == XVK_INT8 ? xvk_load(XVK_F32, numbers + XVK_KV_BLOCK * size, i) : 1;
}

// Adds one block, of which the query sees `count` positions: its part of one KV head.
static inline void add_block(xvk_dtype dtype, xvk_softmax *state, const float *q, const unsigned char *keys,
                             const unsigned char *values, int64_t size, int64_t count, float scale) {
  float p[XVK_KV_BLOCK], largest = state->m, sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    float score = 0;
    for (int64_t d = 0; d < size; ++d) score += q[d] * xvk_load(dtype, keys, d * XVK_KV_BLOCK + i);
    p[i] = score * scale_of(dtype, keys, size, i) * scale;
    largest = p[i] > largest ? p[i] : largest;
  }
  const float shrink = expf(state->m - largest);
  for (int64_t i = 0; i < count; ++i) sum += p[i] = expf(p[i] - largest);
  state->m = largest;
  state->s = state->s * shrink + sum;
  for (int64_t d = 0; d < size; ++d) state->o[d] *= shrink;
  for (int64_t i = 0; i < count; ++i) {
    const float weight = p[i] * scale_of(dtype, values, size, i);
    for (int64_t d = 0; d < size; ++d) state->o[d] += weight * xvk_load(dtype, values, i * size + d);
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
  const int64_t head = kv_head * xvk_kv_head_bytes(dtype, a->head_size);
  clear(state, a->head_size);
  for (int64_t position = chunk * XVK_ATTENTION_CHUNK; position < seen && position < end; position += XVK_KV_BLOCK) {
    const unsigned char *const block = (const unsigned char *)a->blocks[position / XVK_KV_BLOCK] + head;
    const int64_t count = seen - position < XVK_KV_BLOCK ? seen - position : XVK_KV_BLOCK;
    add_block(dtype, state, a->q + xvk_attention_query_offset(a, kv_head, i), block + a->key_offset,
              block + a->value_offset, a->head_size, count, a->scale);
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
