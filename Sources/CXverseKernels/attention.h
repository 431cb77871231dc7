// attention.h -- causal softmax attention over a blocked KV cache: the template of avx2/, avx512/ and neon/attention.c.
//
// A tile of queries meets a step of 64 positions, which stand in some blocks. With positions innermost in the keys,
// scores = Q K and the weighted values P V have one shape: small matrices [queries, k] times rows. One loop serves
// both; it adds over k one by one, for every query in the same order, so no bit of a query depends on its tile. int8
// numbers are multiplied without their scales: those of the keys multiply the scores, those of the values the weights.
// Bound: in prefill the multipliers (AVX-512 0.56 of their peak with heads of 64, 0.63 with 128; the rest is softmax
// and loading), in decode the cache lines of the KV cache that one core can wait for at a time.
//
// An includer defines, for vectors of LANES floats, the type floats, VECTORS(queries), the vectors of columns that the
// sums of 1 ... 6 queries fill the registers with, and
//   floats zero(void), each(value), multiply(a, b), fused(a, b, c), add(a, b), subtract(a, b), larger(a, b): b for NaN
//   floats load(dtype, place), load_first(dtype, place, count): the first count numbers, then zeros
//   void put(place, floats)
//   floats hide(scores, visible): -infinity from lane `visible` on
//   float first(floats), sum_of(floats), largest_of(floats)
//   floats exponential(floats): exactly 1 for 0 and 0 for -infinity
#include <math.h>
#include <stdbool.h>
#include "numbers.h"

enum { TILE = XVK_ATTENTION_TILE, STEP = XVK_ATTENTION_STEP, CHUNK_STEPS = XVK_ATTENTION_CHUNK / STEP };
enum { BLOCK = XVK_KV_BLOCK, BLOCKS = STEP / BLOCK };  // positions of a block; blocks of a step
enum { SOFTMAX = sizeof(xvk_softmax) / sizeof(float) };

// The keys or values of a KV head that are read next, fetched to L1 while others are worked on: a few lines from each
// quarter at a time, as the hardware's prefetcher starts anew at each page. While the keys of a step are worked on
// these are its values, then the keys of the next step; where that is too few bytes to hide the latency, both of the
// next. Decode reads at 0.75 (f16, heads of 64), 0.62 (f16, 128), 0.86 (int8, 64), 0.78 (int8, 128) and 0.7 (f32) of
// the bare read; without it f16 and int8 of 128 at 0.46 and 0.28 (1 thread of a Zen 5, AVX-512, 32 heads, depth 4096).
enum { STREAMS = 4, FAR_BYTES = 8192 };
typedef struct {
  const unsigned char *starts[STREAMS];
  int64_t offset, end;  // bytes of each stream: fetched, and of all
} ahead;

_Static_assert(STEP % BLOCK == 0 && BLOCK % LANES == 0 && STREAMS % BLOCKS == 0, "blocks of a step");

// The keys or values of a KV head in a step: its part of each block.
typedef struct {
  const unsigned char *parts[BLOCKS];
} step;

// c[i, j] += sum over k in begin ..< end of a[i][k] * b[k, j] for j < columns; c has room for whole vectors. Of keys, a
// part of b holds some columns of all rows, of values some rows.
typedef struct {
  float *c;
  const float *const *a;
  const step *b;  // rows of b_size bytes
  int64_t c_stride, b_size, columns, begin, end;
} product;

typedef struct {
  const float *q[TILE];
  int64_t seen[TILE];                // positions that each query sees, in ascending order
  _Alignas(64) float p[TILE][STEP];  // scores of a step, then e^(score - m)
  float *states;                     // [queries, stride]: the softmax of each query over this chunk
  int64_t queries, stride;
} tile;

XVK_INLINE ahead ahead_of(const step *s, int64_t bytes) {
  enum { EACH = STREAMS / BLOCKS };
  ahead next = {.end = (bytes + 64 * EACH - 1) / (64 * EACH) * 64};
  for (int i = 0; i < STREAMS; ++i) next.starts[i] = s->parts[i / EACH] + i % EACH * next.end;
  return next;
}

XVK_INLINE void fetch(ahead *next, int lines) {
  if (next->offset >= next->end) return;
  for (int stream = 0; stream < STREAMS; ++stream)
    for (int line = 0; line < lines; ++line) __builtin_prefetch(next->starts[stream] + next->offset + 64 * line, 0, 3);
  next->offset += 64 * lines;
}

XVK_INLINE xvk_softmax *state_at(float *states, int64_t stride, int64_t i) {
  return (xvk_softmax *)(states + i * stride);
}

// The first row of a column, of which no vector crosses the end of a part.
XVK_INLINE const unsigned char *key_place(const product *p, int64_t column, int64_t size) {
  const unsigned char *const block = p->b->parts[BLOCKS == 1 ? 0 : column / BLOCK];
  return block + p->begin * p->b_size + (BLOCKS == 1 ? column : column % BLOCK) * size;
}

// The start of a row.
XVK_INLINE const unsigned char *value_place(const product *p, int64_t k) {
  return BLOCKS == 1 ? p->b->parts[0] + k * p->b_size : p->b->parts[k / BLOCK] + k % BLOCK * p->b_size;
}

// The end of the rows that stand in the part of row k.
XVK_INLINE int64_t last_of_part(const product *p, int64_t k) {
  const int64_t last = (k / BLOCK + 1) * BLOCK;
  return BLOCKS > 1 && last < p->end ? last : p->end;
}

// `queries` rows x `vectors` vectors of a product; one vector of `some` columns when that is not 0.
XVK_INLINE void outer_products(xvk_dtype dtype, int is_keys, int queries, int vectors, const product *p, ahead *next,
                               int64_t row, int64_t column, int64_t some) {
  const int64_t size = xvk_dtype_size(dtype);
  const int lines_each = vectors * LANES * size < 64 ? 1 : (int)(vectors * LANES * size / 64);
  const int parts = is_keys && vectors * LANES > BLOCK ? vectors * LANES / BLOCK : 1,
            each_part = vectors * LANES / parts;
  float *const c = p->c + row * p->c_stride + column;
  const unsigned char *places[BLOCKS];
  for (int i = 0; i < parts && is_keys; ++i) places[i] = key_place(p, column + i * each_part, size);
  floats sums[6][8];
  for (int i = 0; i < queries; ++i)
    for (int v = 0; v < vectors; ++v) sums[i][v] = load(XVK_F32, c + i * p->c_stride + LANES * v);
  for (int64_t k = p->begin; k < p->end;) {
    const int64_t last = is_keys ? p->end : last_of_part(p, k);
    if (!is_keys) places[0] = value_place(p, k) + column * size;
    while (k < last) {
      fetch(next, lines_each);
      for (const int64_t stop = k + STREAMS < last ? k + STREAMS : last; k < stop; ++k) {
        floats bs[8];
        for (int v = 0; v < vectors; ++v) {
          const unsigned char *const place = places[LANES * v / each_part] + LANES * v % each_part * size;
          bs[v] = some ? load_first(dtype, place, some) : load(dtype, place);
        }
        for (int i = 0; i < parts; ++i) places[i] += p->b_size;
        for (int i = 0; i < queries; ++i) {
          const floats as = each(p->a[row + i][k]);
          for (int v = 0; v < vectors; ++v) sums[i][v] = fused(as, bs[v], sums[i][v]);
        }
      }
    }
  }
  for (int i = 0; i < queries; ++i)
    for (int v = 0; v < vectors; ++v) put(c + i * p->c_stride + LANES * v, sums[i][v]);
}

XVK_INLINE void multiply_rows(xvk_dtype dtype, int is_keys, int queries, int vectors, const product *p, ahead *next,
                              int64_t row) {
  int64_t column = 0;
  for (; column + LANES * vectors <= p->columns; column += LANES * vectors)
    outer_products(dtype, is_keys, queries, vectors, p, next, row, column, 0);
  for (; column + LANES <= p->columns; column += LANES)
    outer_products(dtype, is_keys, queries, 1, p, next, row, column, 0);
  if (column < p->columns) outer_products(dtype, is_keys, queries, 1, p, next, row, column, p->columns - column);
}

// All of a product, queries <= TILE, in groups that keep their sums in the registers.
XVK_INLINE void multiply_all(xvk_dtype dtype, int is_keys, const product *p, ahead *next, int64_t queries) {
  for (int64_t row = 0; row < queries;) {
    const int64_t left = queries - row, group = left <= 6 ? left : (left + 1) / 2;
    switch (group) {
      case 1:
        multiply_rows(dtype, is_keys, 1, VECTORS(1), p, next, row);
        break;
      case 2:
        multiply_rows(dtype, is_keys, 2, VECTORS(2), p, next, row);
        break;
      case 3:
        multiply_rows(dtype, is_keys, 3, VECTORS(3), p, next, row);
        break;
      case 4:
        multiply_rows(dtype, is_keys, 4, VECTORS(4), p, next, row);
        break;
      case 5:
        multiply_rows(dtype, is_keys, 5, VECTORS(5), p, next, row);
        break;
      default:
        multiply_rows(dtype, is_keys, 6, VECTORS(6), p, next, row);
        break;
    }
    row += group;
  }
  while (next->offset < next->end) fetch(next, 1);
}

XVK_INLINE void scale_numbers(float *x, int64_t count, floats factor) {
  for (int64_t d = 0; d < count; d += LANES) put(x + d, multiply(load(XVK_F32, x + d), factor));
}

// int8: the scales of the positions k and up.
XVK_INLINE const unsigned char *scales_at(const step *s, int64_t numbers, int64_t k) {
  return s->parts[BLOCKS == 1 ? 0 : k / BLOCK] + numbers + 4 * (BLOCKS == 1 ? k : k % BLOCK);
}

// Turns the first `count` scores of a step, of which a query sees `visible`, into weights e^(score - m), and moves its
// state to the new m. count is a multiple of LANES; a hidden score weighs 0, so the sum is the same for any count.
// int8: the scales of the step's keys and values.
XVK_INLINE void update_softmax(xvk_dtype dtype, float *p, xvk_softmax *state, int64_t size, int64_t visible,
                               int64_t count, float scale, const step *keys, const step *values) {
  const int64_t numbers = BLOCK * size;
  floats largest_lanes = each(state->m), sums = zero();
  for (int64_t k = 0; k < count; k += LANES) {
    floats score = multiply(load(XVK_F32, p + k), each(scale));
    if (dtype == XVK_INT8) score = multiply(score, load(XVK_F32, scales_at(keys, numbers, k)));
    if (k + LANES > visible) score = hide(score, visible - k);
    largest_lanes = larger(score, largest_lanes);
    put(p + k, score);
  }
  const float largest = largest_of(largest_lanes);
  for (int64_t k = 0; k < count; k += LANES) {
    floats e = exponential(subtract(load(XVK_F32, p + k), each(largest)));
    sums = add(sums, e);
    if (dtype == XVK_INT8) e = multiply(e, load(XVK_F32, scales_at(values, numbers, k)));
    put(p + k, e);
  }
  const float sum = sum_of(sums);
  if (largest == state->m) {  // the usual case deep in a chunk: nothing shrinks
    state->s += sum;
    return;
  }
  const floats shrink = exponential(each(state->m - largest));
  state->m = largest;
  state->s = state->s * first(shrink) + sum;
  scale_numbers(state->o, size, shrink);
}

// Adds the step that starts at `position`: its part of one KV head.
XVK_INLINE void add_step(xvk_dtype dtype, tile *t, const step *keys, const step *values, ahead during_keys,
                         ahead during_values, int64_t position, int64_t size, float scale) {
  const int64_t bytes = xvk_dtype_size(dtype);
  int64_t visible[TILE];
  const float *weights[TILE];
  for (int64_t i = 0; i < t->queries; ++i) {
    const int64_t left = t->seen[i] - position;
    visible[i] = left < 0 ? 0 : left < STEP ? left : STEP;
    weights[i] = t->p[i];
  }
  const int64_t count = (visible[t->queries - 1] + LANES - 1) / LANES * LANES;

  memset(t->p, 0, (size_t)t->queries * sizeof t->p[0]);
  const product scores = {t->p[0], t->q, keys, STEP, BLOCK * bytes, count, 0, size};
  multiply_all(dtype, 1, &scores, &during_keys, t->queries);
  for (int64_t i = 0; i < t->queries; ++i)
    if (visible[i] > 0)
      update_softmax(dtype, t->p[i], state_at(t->states, t->stride, i), size, visible[i], count, scale, keys, values);

  // Values behind a query's last position may be NaN, so they must not be multiplied even by 0.
  product weighted = {t->states + offsetof(xvk_softmax, o) / sizeof(float),
                      weights,
                      values,
                      t->stride,
                      size * bytes,
                      size,
                      0,
                      visible[0]};
  multiply_all(dtype, 0, &weighted, &during_values, t->queries);
  for (int64_t i = 1; i < t->queries; ++i) {
    weighted.begin = visible[0];
    weighted.end = visible[i];
    if (weighted.begin < weighted.end) multiply_rows(dtype, 0, 1, VECTORS(1), &weighted, &during_values, i);
  }
}

XVK_INLINE void clear(float *states, int64_t stride, int64_t queries) {
  memset(states, 0, (size_t)(queries * stride) * sizeof *states);
  for (int64_t i = 0; i < queries; ++i) state_at(states, stride, i)->m = -INFINITY;
}

XVK_INLINE void merge(xvk_softmax *total, const xvk_softmax *chunk, int64_t size) {
  const float largest = chunk->m > total->m ? chunk->m : total->m;
  const floats before = exponential(each(total->m - largest)), now = exponential(each(chunk->m - largest));
  total->m = largest;
  total->s = first(fused(each(total->s), before, multiply(each(chunk->s), now)));
  for (int64_t d = 0; d < size; d += LANES) {
    const floats added = multiply(load(XVK_F32, chunk->o + d), now);
    put(total->o + d, fused(load(XVK_F32, total->o + d), before, added));
  }
}

XVK_INLINE void finish(float *out, const xvk_softmax *total, int64_t size) {
  for (int64_t d = 0; d < size; ++d) out[d] = total->o[d] / total->s;
}

// The blocks of a step, whose parts of a KV head stand `offset` bytes behind their starts; the last of all again where
// there are no more.
XVK_INLINE step step_at(const xvk_attention_work *a, int64_t index, int64_t blocks, int64_t offset) {
  step s;
  for (int64_t i = 0; i < BLOCKS; ++i) {
    const int64_t block = index * BLOCKS + i < blocks ? index * BLOCKS + i : blocks - 1;
    s.parts[i] = (const unsigned char *)a->blocks[block] + offset;
  }
  return s;
}

// Makes the states of a tile those of a chunk; chunk `then` of KV head `then_head` is read next.
XVK_INLINE void take_chunk(xvk_dtype dtype, const xvk_attention_work *a, tile *t, int64_t kv_head, int64_t chunk,
                           int64_t then_head, int64_t then) {
  const int64_t bytes = xvk_kv_head_bytes(dtype, a->head_size);
  const int64_t seen = t->seen[t->queries - 1], blocks = (seen + BLOCK - 1) / BLOCK, steps = (seen + STEP - 1) / STEP;
  const int64_t begin = chunk * CHUNK_STEPS, end = steps < begin + CHUNK_STEPS ? steps : begin + CHUNK_STEPS;
  clear(t->states, t->stride, t->queries);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t next = i + 1 < end ? i + 1 : then * CHUNK_STEPS;
    const int64_t here = kv_head * bytes, there = (i + 1 < end ? kv_head : then_head) * bytes;
    const step keys = step_at(a, i, blocks, here + a->key_offset),
               values = step_at(a, i, blocks, here + a->value_offset);
    const step next_keys = step_at(a, next, blocks, there + a->key_offset);
    const step next_values = step_at(a, next, blocks, there + a->value_offset);
    const bool far = bytes * BLOCKS < FAR_BYTES;
    add_step(dtype, t, &keys, &values, ahead_of(far ? &next_keys : &values, bytes),
             ahead_of(far ? &next_values : &next_keys, bytes), i * STEP, a->head_size, a->scale);
  }
}

XVK_INLINE void attention(xvk_dtype dtype, const xvk_attention_work *a, int64_t begin, int64_t end) {
  _Alignas(64) float of_chunk[TILE * SOFTMAX], of_all[TILE * SOFTMAX];
  tile t = {.states = of_chunk, .stride = xvk_softmax_stride(a->head_size)};
  for (int64_t u = begin; u < end; ++u) {
    const xvk_attention_unit unit = xvk_attention_unit_at(a, u);
    const xvk_attention_unit next = xvk_attention_unit_at(a, u + 1 < end ? u + 1 : u);
    t.queries = unit.queries;
    for (int64_t i = 0; i < t.queries; ++i) {
      t.q[i] = a->q + xvk_attention_query_offset(a, unit.kv_head, unit.first + i);
      t.seen[i] = xvk_attention_seen(a, unit.first + i);
    }
    if (a->parts > 1) t.states = (float *)xvk_attention_partial(a, unit.kv_head, unit.chunk, unit.first);
    clear(of_all, t.stride, t.queries);
    for (int64_t chunk = unit.chunk; chunk < unit.chunks; ++chunk) {
      const bool more = chunk + 1 < unit.chunks;
      take_chunk(dtype, a, &t, unit.kv_head, chunk, more ? unit.kv_head : next.kv_head, more ? chunk + 1 : next.chunk);
      for (int64_t i = 0; i < t.queries; ++i)
        if (a->parts == 1 && t.seen[i] > chunk * XVK_ATTENTION_CHUNK)
          merge(state_at(of_all, t.stride, i), state_at(of_chunk, t.stride, i), a->head_size);
    }
    for (int64_t i = 0; i < t.queries && a->parts == 1; ++i)
      finish(a->out + (t.q[i] - a->q), state_at(of_all, t.stride, i), a->head_size);
  }
}

XVK_INLINE void attention_merge(const xvk_attention_work *a, int64_t begin, int64_t end) {
  for (int64_t u = begin; u < end; ++u) {
    const int64_t kv_head = u / a->queries, i = u % a->queries;
    xvk_softmax total;
    clear((float *)&total, SOFTMAX, 1);
    for (int64_t chunk = 0; chunk < xvk_attention_chunks(xvk_attention_seen(a, i)); ++chunk)
      merge(&total, xvk_attention_partial(a, kv_head, chunk, i), a->head_size);
    finish(a->out + xvk_attention_query_offset(a, kv_head, i), &total, a->head_size);
  }
}
