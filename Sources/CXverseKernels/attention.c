// attention.c -- drivers of the KV cache: storing the keys and values of a pass, attention over all of them.
//
// A pass is laid out as a line: its segments one after the other, each as long as its work costs. The line is cut into
// equal parts, and a part takes the units whose start lies in it: whole segments, and some units of those at its ends.
// The kernels see one segment at a time, so no segment can change the bits of another.
#include <stdbool.h>
#include "parallel.h"

// What it takes to store one key and one value element, in multiply-adds of xvk_worthwhile_threads.
enum { STORE_COST = 8 };

// Below this many units a thread, one unit more or less on some thread shows. Several segments are cut into as many
// parts a thread: costs are estimates, and who is done early takes another part.
enum { UNITS_PER_THREAD = 4 };

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t parts_of(const xvk_kv *kv, int32_t threads) {
  return kv->segment_count > 1 ? UNITS_PER_THREAD * threads : threads;
}

// The units of a segment that start before a place on the line, counted from the segment's start. cost >= units.
static int64_t units_before(int64_t place, int64_t units, int64_t cost) {
  return place <= 0 ? 0 : place >= cost ? units : (place * units + cost - 1) / cost;
}

// ---- storing ----

typedef struct {
  const xvk_kv *kv;
  const float *k, *v;
  xvk_range *kernel;
  int64_t cost, parts;
} store_pass;

static void store_part(const void *context, int64_t part) {
  const store_pass *const p = context;
  const xvk_kv *const kv = p->kv;
  const int64_t row_size = kv->kv_heads * kv->head_size;
  int64_t begin = xvk_part_begin(p->cost, p->parts, part), end = xvk_part_begin(p->cost, p->parts, part + 1);
  for (int64_t i = 0; i < kv->segment_count && end > 0; ++i) {
    const xvk_segment *const s = &kv->segments[i];
    const int64_t first = s->position / XVK_KV_BLOCK, last = (s->position + s->tokens - 1) / XVK_KV_BLOCK;
    const int64_t units = (last - first + 1) * kv->kv_heads, cost = s->tokens * kv->kv_heads;
    const int64_t start = s->row * row_size;
    const int64_t from = units_before(begin, units, cost), to = units_before(end, units, cost);
    const xvk_kv_store_work work = {s->blocks,   kv->key_offset, kv->value_offset, p->k + start, p->v + start,
                                    s->position, s->tokens,      kv->kv_heads,     kv->head_size};
    if (from < to) p->kernel(&work, from, to);
    begin -= cost, end -= cost;
  }
}

void xvk_kv_store(const xvk_compute *c, const xvk_kv *kv, const float *k, const float *v) {
  store_pass p = {kv, k, v, c->table->kv_store[kv->dtype], 0, 0};
  for (int64_t i = 0; i < kv->segment_count; ++i) p.cost += kv->segments[i].tokens * kv->kv_heads;
  const int32_t threads = xvk_worthwhile_threads(c, STORE_COST * p.cost * kv->head_size);
  p.parts = parts_of(kv, threads);
  xvk_parallel(threads, (int32_t)p.parts, store_part, &p);
}

// ---- attention ----

typedef struct {
  const xvk_kv *kv;
  float *out;
  const float *q;
  int64_t heads;
  float scale;
  float *scratch;
  xvk_range *kernel;
  int32_t threads, most_threads;  // that pay for this pass, and of the compute
  int64_t cost, parts;
} attention_pass;

// Queries times positions seen, on average; a block more for what a query costs by itself.
static int64_t cost_of(const attention_pass *p, const xvk_segment *s) {
  return s->tokens * p->heads * (s->position + s->tokens / 2 + XVK_KV_BLOCK);
}

static bool are_dealt_evenly(int64_t units, int32_t threads) {
  return units % threads == 0 || units >= UNITS_PER_THREAD * threads;
}

// Whether so many units of a segment can be dealt evenly, or are small beside a thread's share of the pass.
static bool are_fine(const attention_pass *p, int64_t cost, int64_t units, int32_t threads) {
  return are_dealt_evenly(units, threads) || cost * UNITS_PER_THREAD * threads <= p->cost * units;
}

// The parts to cut a sequence into. Cutting tiles instead reads the cache more often, which costs nothing while the
// multipliers are the bound: so only queries that fit one tile are given chunk by chunk.
static int64_t choose_parts(const attention_pass *p, const xvk_segment *s, int64_t queries) {
  if (queries > XVK_ATTENTION_TILE || are_fine(p, cost_of(p, s), p->kv->kv_heads, p->most_threads)) return 1;
  return xvk_attention_chunks(s->position + s->tokens);
}

// Large tiles read each block of the cache less often; they shrink only until the units can be dealt out evenly.
static void choose_tile(const attention_pass *p, const xvk_segment *s, xvk_attention_work *a) {
  a->tile = smaller(a->queries, XVK_ATTENTION_TILE);
  for (;; a->tile = (a->tile + 1) / 2) {
    a->tiles = (a->queries + a->tile - 1) / a->tile;
    if (a->parts > 1 || a->tile == 1 || are_fine(p, cost_of(p, s), a->tiles * a->kv_heads, p->threads)) return;
  }
}

// The work of a segment. Moves *scratch behind what its partial results take.
static xvk_attention_work work_of(const attention_pass *p, const xvk_segment *s, float **scratch) {
  const xvk_kv *const kv = p->kv;
  const int64_t start = s->row * p->heads * kv->head_size, queries = s->tokens * (p->heads / kv->kv_heads);
  xvk_attention_work a = {.out = p->out + start,
                          .q = p->q + start,
                          .blocks = s->blocks,
                          .key_offset = kv->key_offset,
                          .value_offset = kv->value_offset,
                          .position = s->position,
                          .heads = p->heads,
                          .kv_heads = kv->kv_heads,
                          .head_size = kv->head_size,
                          .scale = p->scale,
                          .partials = *scratch,
                          .queries = queries,
                          .parts = choose_parts(p, s, queries)};
  choose_tile(p, s, &a);
  if (a.parts > 1) *scratch += a.parts * queries * kv->kv_heads * xvk_softmax_stride(kv->head_size);
  return a;
}

static void attention_part(const void *context, int64_t part) {
  const attention_pass *const p = context;
  float *scratch = p->scratch;
  int64_t begin = xvk_part_begin(p->cost, p->parts, part), end = xvk_part_begin(p->cost, p->parts, part + 1);
  for (int64_t i = 0; i < p->kv->segment_count && end > 0; ++i) {
    const xvk_attention_work work = work_of(p, &p->kv->segments[i], &scratch);
    const int64_t units = work.kv_heads * work.tiles * work.parts, cost = cost_of(p, &p->kv->segments[i]);
    const int64_t from = units_before(begin, units, cost), to = units_before(end, units, cost);
    if (from < to) p->kernel(&work, from, to);
    begin -= cost, end -= cost;
  }
}

static void merge_chunks(const xvk_compute *c, const attention_pass *p) {
  float *scratch = p->scratch;
  for (int64_t i = 0; i < p->kv->segment_count; ++i) {
    const xvk_attention_work a = work_of(p, &p->kv->segments[i], &scratch);
    const int64_t vectors = a.kv_heads * a.queries;
    const int32_t threads = xvk_worthwhile_threads(c, vectors * a.head_size * a.parts);
    if (a.parts > 1) xvk_split(threads, c->table->attention_merge, &a, vectors, 1);
  }
}

void xvk_attention(const xvk_compute *c, float *out, const float *q, const xvk_kv *kv, int64_t heads, float scale,
                   float *scratch) {
  attention_pass p = {kv, out, q, heads, scale, scratch, c->table->attention[kv->dtype], 0, c->threads, 0, 0};
  int64_t products = 0;
  for (int64_t i = 0; i < kv->segment_count; ++i) {
    const xvk_segment *const s = &kv->segments[i];
    products += s->tokens * heads * (s->position + s->tokens / 2 + 1);
    p.cost += cost_of(&p, s);
  }
  p.threads = xvk_worthwhile_threads(c, 2 * products * kv->head_size);
  p.parts = parts_of(kv, p.threads);
  xvk_parallel(p.threads, (int32_t)p.parts, attention_part, &p);
  merge_chunks(c, &p);
}

// choose_parts cuts a segment of kv_heads units only if one of them costs more than 1 / (UNITS_PER_THREAD threads) of
// the pass: there are fewer such units than that, which bounds the segments.
size_t xvk_attention_scratch(const xvk_compute *c, int64_t positions, int64_t tokens, int64_t heads, int64_t kv_heads,
                             int64_t head_size) {
  const int64_t group = heads / kv_heads, chunks = xvk_attention_chunks(positions);
  if (are_dealt_evenly(kv_heads, c->threads) || chunks == 1) return 0;
  const int64_t segments = (UNITS_PER_THREAD * c->threads - 1) / kv_heads;
  const int64_t queries = smaller(tokens, segments * (XVK_ATTENTION_TILE / group)) * group;
  return (size_t)(chunks * queries * kv_heads * xvk_softmax_stride(head_size));
}
