// attention.c -- drivers of the KV cache: storing new keys and values, attention over all of them.
#include "parallel.h"
#include <stdbool.h>

// What it takes to store one key and one value element, in multiply-adds of xvk_worthwhile_threads.
enum { STORE_COST = 8 };

static void store(const xvk_compute *c, xvk_number number, const xvk_kv_store_work *s) {
  const int64_t first = s->position / XVK_KV_BLOCK, last = (s->position + s->tokens - 1) / XVK_KV_BLOCK;
  const int32_t threads = xvk_worthwhile_threads(c, STORE_COST * s->tokens * s->kv_heads * s->head_size);
  xvk_split(threads, c->table->kv_store[number], s, (last - first + 1) * s->kv_heads, 1);
}

void xvk_kv_store_f32(const xvk_compute *c, void *const *key_blocks, void *const *value_blocks, const float *k,
                      const float *v, int64_t position, int64_t tokens, int64_t kv_heads, int64_t head_size) {
  store(c, XVK_F32, &(xvk_kv_store_work){key_blocks, value_blocks, k, v, position, tokens, kv_heads, head_size});
}

void xvk_kv_store_f16(const xvk_compute *c, void *const *key_blocks, void *const *value_blocks, const float *k,
                      const float *v, int64_t position, int64_t tokens, int64_t kv_heads, int64_t head_size) {
  store(c, XVK_F16, &(xvk_kv_store_work){key_blocks, value_blocks, k, v, position, tokens, kv_heads, head_size});
}

void xvk_kv_store_int8(const xvk_compute *c, void *const *key_blocks, void *const *value_blocks, const float *k,
                       const float *v, int64_t position, int64_t tokens, int64_t kv_heads, int64_t head_size) {
  store(c, XVK_INT8, &(xvk_kv_store_work){key_blocks, value_blocks, k, v, position, tokens, kv_heads, head_size});
}

// Below this many units a thread, one unit more or less on some thread shows.
enum { UNITS_PER_THREAD = 4 };

static bool are_dealt_evenly(int64_t units, int32_t threads) {
  return units % threads == 0 || units >= UNITS_PER_THREAD * threads;
}

// The parts to cut the sequence into. Cutting tiles instead reads the cache more often, which costs nothing while the
// multipliers are the bound: so only queries that fit one tile are given chunk by chunk.
static int64_t choose_parts(const xvk_compute *c, int64_t positions, int64_t queries, int64_t kv_heads) {
  const int64_t chunks = xvk_attention_chunks(positions);
  if (queries > XVK_ATTENTION_TILE || are_dealt_evenly(kv_heads, c->threads)) return 1;
  return kv_heads * chunks < c->threads ? 1 : chunks;
}

size_t xvk_attention_scratch(const xvk_compute *c, int64_t positions, int64_t tokens, int64_t heads, int64_t kv_heads,
                             int64_t head_size) {
  const int64_t group = heads / kv_heads, most = XVK_ATTENTION_TILE / group;
  const int64_t queries = (tokens < most ? tokens : most) * group;
  const int64_t parts = choose_parts(c, positions, queries, kv_heads);
  return parts == 1 ? 0 : (size_t)(parts * queries * kv_heads * xvk_softmax_stride(head_size));
}

// Large tiles read each block of the cache less often; they shrink only until the units can be dealt out evenly.
static void choose_tile(xvk_attention_work *a, int32_t threads) {
  a->tile = a->queries < XVK_ATTENTION_TILE ? a->queries : XVK_ATTENTION_TILE;
  for (;; a->tile = (a->tile + 1) / 2) {
    a->tiles = (a->queries + a->tile - 1) / a->tile;
    if (a->parts > 1 || a->tile == 1 || are_dealt_evenly(a->tiles * a->kv_heads, threads)) return;
  }
}

static void attention(const xvk_compute *c, xvk_number number, int64_t tokens, xvk_attention_work *a) {
  const int64_t average = a->position + tokens / 2 + 1;
  const int32_t threads = xvk_worthwhile_threads(c, 2 * tokens * a->heads * a->head_size * average);
  a->queries = tokens * (a->heads / a->kv_heads);
  a->parts = choose_parts(c, a->position + tokens, a->queries, a->kv_heads);
  choose_tile(a, threads);
  xvk_split(threads, c->table->attention[number], a, a->kv_heads * a->tiles * a->parts, 1);
  if (a->parts == 1) return;
  const int32_t merging = xvk_worthwhile_threads(c, tokens * a->heads * a->head_size * a->parts);
  xvk_split(merging, c->table->attention_merge, a, a->kv_heads * a->queries, 1);
}

void xvk_attention_f32_f32(const xvk_compute *c, float *out, const float *q, const void *const *key_blocks,
                           const void *const *value_blocks, int64_t position, int64_t tokens, int64_t heads,
                           int64_t kv_heads, int64_t head_size, float scale, float *scratch) {
  attention(c, XVK_F32, tokens, &(xvk_attention_work){out, q, key_blocks, value_blocks, position, heads, kv_heads,
                                                      head_size, .scale = scale, .partials = scratch});
}

void xvk_attention_f32_f16(const xvk_compute *c, float *out, const float *q, const void *const *key_blocks,
                           const void *const *value_blocks, int64_t position, int64_t tokens, int64_t heads,
                           int64_t kv_heads, int64_t head_size, float scale, float *scratch) {
  attention(c, XVK_F16, tokens, &(xvk_attention_work){out, q, key_blocks, value_blocks, position, heads, kv_heads,
                                                      head_size, .scale = scale, .partials = scratch});
}

void xvk_attention_f32_int8(const xvk_compute *c, float *out, const float *q, const void *const *key_blocks,
                            const void *const *value_blocks, int64_t position, int64_t tokens, int64_t heads,
                            int64_t kv_heads, int64_t head_size, float scale, float *scratch) {
  attention(c, XVK_INT8, tokens, &(xvk_attention_work){out, q, key_blocks, value_blocks, position, heads, kv_heads,
                                                      head_size, .scale = scale, .partials = scratch});
}
