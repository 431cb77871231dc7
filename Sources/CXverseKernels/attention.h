// attention.h -- causal softmax attention over a blocked KV cache: the template of avx2/ and avx512/attention.c.
//
// A tile of queries meets a block of 64 positions. With positions innermost in a key block, scores = Q K and the
// weighted values P V have one shape: small matrices [queries, k] times the rows of a block. One loop serves both; it
// adds over k one by one, for every query in the same order, so no bit of a query depends on its tile. int8 numbers are
// multiplied without their scales: those of the keys multiply the scores, those of the values the weights.
// Bound: in prefill the multipliers (AVX-512 0.56 of their peak with heads of 64, 0.63 with 128; the rest is softmax and
// loading), in decode the cache lines of the KV cache that one core can wait for at a time.
//
// An includer defines, for vectors of LANES floats, the type floats, VECTORS(queries), the vectors of columns that the
// sums of 1 ... 6 queries fill the registers with, and
//   floats zero(void), each(value), multiply(a, b), fused(a, b, c), add(a, b), subtract(a, b), larger(a, b): b for NaN
//   floats load(dtype, place), load_first(dtype, place, count): the first count numbers, then zeros
//   void put(place, floats)
//   floats hide(scores, visible): -infinity from lane `visible` on
//   float first(floats), sum_of(floats), largest_of(floats)
//   floats exponential(floats): exactly 1 for 0 and 0 for -infinity
#include "numbers.h"
#include <math.h>
#include <stdbool.h>

enum { TILE = XVK_ATTENTION_TILE, BLOCK = XVK_KV_BLOCK, CHUNK_BLOCKS = XVK_ATTENTION_CHUNK / XVK_KV_BLOCK };
enum { SOFTMAX = sizeof(xvk_softmax) / sizeof(float) };

// The keys or values of a KV head that are read next, fetched to L1 while others are worked on: a few lines from each
// quarter at a time, as the hardware's prefetcher starts anew at each page. While the keys of a block are worked on these
// are its values, then the keys of the next block; where that is too few bytes to hide the latency, both of the next.
// Decode reads at 0.75 (f16, heads of 64), 0.62 (f16, 128), 0.86 (int8, 64), 0.78 (int8, 128) and 0.7 (f32) of the bare
// read; without it f16 and int8 of 128 at 0.46 and 0.28 (1 thread of a Zen 5, AVX-512, 32 heads, depth 4096).
enum { STREAMS = 4, FAR_BYTES = 8192 };
typedef struct {
  const unsigned char *place;
  int64_t quarter, lines; // bytes; lines of a quarter that are left
} ahead;

// c[i, j] += sum over k in begin ..< end of a[i][k] * b[k, j] for j < columns; c has room for whole vectors.
typedef struct {
  float *c;
  const float *const *a;
  const unsigned char *b; // rows of b_size bytes
  int64_t c_stride, b_size, columns, begin, end;
} product;

typedef struct {
  const float *q[TILE];
  int64_t seen[TILE]; // positions that each query sees, in ascending order
  _Alignas(64) float p[TILE][BLOCK]; // scores of a block, then e^(score - m)
  float *states; // [queries, stride]: the softmax of each query over this chunk
  int64_t queries, stride;
} tile;

XVK_INLINE ahead ahead_of(const unsigned char *start, int64_t bytes) {
  const int64_t lines = (bytes + 64 * STREAMS - 1) / (64 * STREAMS);
  return (ahead){start, lines * 64, lines};
}

XVK_INLINE void fetch(ahead *next, int lines) {
  if (next->lines <= 0) return;
  for (int stream = 0; stream < STREAMS; ++stream)
    for (int line = 0; line < lines; ++line)
      __builtin_prefetch(next->place + stream * next->quarter + 64 * line, 0, 3);
  next->place += 64 * lines;
  next->lines -= lines;
}

XVK_INLINE xvk_softmax *state_at(float *states, int64_t stride, int64_t i) {
  return (xvk_softmax *)(states + i * stride);
}

// `queries` rows x `vectors` vectors of a product; one vector of `some` columns when that is not 0.
XVK_INLINE void outer_products(xvk_dtype dtype, int queries, int vectors, const product *p, ahead *next, int64_t row,
                               int64_t column, int64_t some) {
  const int64_t size = xvk_dtype_size(dtype);
  const int lines_each = vectors * LANES * size < 64 ? 1 : (int)(vectors * LANES * size / 64);
  float *const c = p->c + row * p->c_stride + column;
  const unsigned char *b = p->b + p->begin * p->b_size + column * size;
  floats sums[6][8];
  for (int i = 0; i < queries; ++i)
    for (int v = 0; v < vectors; ++v) sums[i][v] = load(XVK_F32, (const void *)(c + i * p->c_stride + LANES * v));
  for (int64_t k = p->begin; k < p->end;) {
    fetch(next, lines_each);
    for (const int64_t stop = k + STREAMS < p->end ? k + STREAMS : p->end; k < stop; ++k, b += p->b_size) {
      floats bs[8];
      for (int v = 0; v < vectors; ++v) bs[v] = some ? load_first(dtype, b, some) : load(dtype, b + LANES * v * size);
      for (int i = 0; i < queries; ++i) {
        const floats as = each(p->a[row + i][k]);
        for (int v = 0; v < vectors; ++v) sums[i][v] = fused(as, bs[v], sums[i][v]);
      }
    }
  }
  for (int i = 0; i < queries; ++i)
    for (int v = 0; v < vectors; ++v) put(c + i * p->c_stride + LANES * v, sums[i][v]);
}

XVK_INLINE void multiply_rows(xvk_dtype dtype, int queries, int vectors, const product *p, ahead *next, int64_t row) {
  int64_t column = 0;
  for (; column + LANES * vectors <= p->columns; column += LANES * vectors)
    outer_products(dtype, queries, vectors, p, next, row, column, 0);
  for (; column + LANES <= p->columns; column += LANES) outer_products(dtype, queries, 1, p, next, row, column, 0);
  if (column < p->columns) outer_products(dtype, queries, 1, p, next, row, column, p->columns - column);
}

// All of a product, queries <= TILE, in groups that keep their sums in the registers.
XVK_INLINE void multiply_all(xvk_dtype dtype, const product *p, ahead *next, int64_t queries) {
  for (int64_t row = 0; row < queries;) {
    const int64_t left = queries - row, group = left <= 6 ? left : (left + 1) / 2;
    switch (group) {
    case 1: multiply_rows(dtype, 1, VECTORS(1), p, next, row); break;
    case 2: multiply_rows(dtype, 2, VECTORS(2), p, next, row); break;
    case 3: multiply_rows(dtype, 3, VECTORS(3), p, next, row); break;
    case 4: multiply_rows(dtype, 4, VECTORS(4), p, next, row); break;
    case 5: multiply_rows(dtype, 5, VECTORS(5), p, next, row); break;
    default: multiply_rows(dtype, 6, VECTORS(6), p, next, row); break;
    }
    row += group;
  }
  while (next->lines > 0) fetch(next, 1);
}

XVK_INLINE void scale_numbers(float *x, int64_t count, floats factor) {
  for (int64_t d = 0; d < count; d += LANES) put(x + d, multiply(load(XVK_F32, (const void *)(x + d)), factor));
}

// Turns the first `count` scores of a block, of which a query sees `visible`, into weights e^(score - m), and moves its
// state to the new m. count is a multiple of LANES; a hidden score weighs 0, so the sum is the same for any count.
// int8: key_scales, value_scales [64].
XVK_INLINE void update_softmax(xvk_dtype dtype, float *p, xvk_softmax *state, int64_t size, int64_t visible,
                               int64_t count, float scale, const unsigned char *key_scales,
                               const unsigned char *value_scales) {
  floats largest_lanes = each(state->m), sums = zero();
  for (int64_t k = 0; k < count; k += LANES) {
    floats score = multiply(load(XVK_F32, (const void *)(p + k)), each(scale));
    if (dtype == XVK_INT8) score = multiply(score, load(XVK_F32, key_scales + 4 * k));
    if (k + LANES > visible) score = hide(score, visible - k);
    largest_lanes = larger(score, largest_lanes);
    put(p + k, score);
  }
  const float largest = largest_of(largest_lanes);
  for (int64_t k = 0; k < count; k += LANES) {
    floats e = exponential(subtract(load(XVK_F32, (const void *)(p + k)), each(largest)));
    sums = add(sums, e);
    if (dtype == XVK_INT8) e = multiply(e, load(XVK_F32, value_scales + 4 * k));
    put(p + k, e);
  }
  const float sum = sum_of(sums);
  if (largest == state->m) { // the usual case deep in a chunk: nothing shrinks
    state->s += sum;
    return;
  }
  const floats shrink = exponential(each(state->m - largest));
  state->m = largest;
  state->s = state->s * first(shrink) + sum;
  scale_numbers(state->o, size, shrink);
}

// Adds the block that starts at `position`: its part of one KV head.
XVK_INLINE void add_block(xvk_dtype dtype, tile *t, const unsigned char *keys, const unsigned char *values,
                          ahead during_keys, ahead during_values, int64_t position, int64_t size, float scale) {
  const int64_t bytes = xvk_dtype_size(dtype), numbers = BLOCK * size * bytes;
  int64_t visible[TILE];
  const float *weights[TILE];
  for (int64_t i = 0; i < t->queries; ++i) {
    const int64_t left = t->seen[i] - position;
    visible[i] = left < 0 ? 0 : left < BLOCK ? left : BLOCK;
    weights[i] = t->p[i];
  }
  const int64_t count = (visible[t->queries - 1] + LANES - 1) / LANES * LANES;

  memset(t->p, 0, (size_t)t->queries * sizeof t->p[0]);
  const product scores = {t->p[0], t->q, keys, BLOCK, BLOCK * bytes, count, 0, size};
  multiply_all(dtype, &scores, &during_keys, t->queries);
  for (int64_t i = 0; i < t->queries; ++i)
    if (visible[i] > 0)
      update_softmax(dtype, t->p[i], state_at(t->states, t->stride, i), size, visible[i], count, scale, keys + numbers,
                     values + numbers);

  // Values behind a query's last position may be NaN, so they must not be multiplied even by 0.
  product weighted = {t->states + offsetof(xvk_softmax, o) / sizeof(float), weights, values, t->stride, size * bytes,
                      size, 0, visible[0]};
  multiply_all(dtype, &weighted, &during_values, t->queries);
  for (int64_t i = 1; i < t->queries; ++i) {
    weighted.begin = visible[0];
    weighted.end = visible[i];
    if (weighted.begin < weighted.end) multiply_rows(dtype, 1, VECTORS(1), &weighted, &during_values, i);
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
    const floats added = multiply(load(XVK_F32, (const void *)(chunk->o + d)), now);
    put(total->o + d, fused(load(XVK_F32, (const void *)(total->o + d)), before, added));
  }
}

XVK_INLINE void finish(float *out, const xvk_softmax *total, int64_t size) {
  for (int64_t d = 0; d < size; ++d) out[d] = total->o[d] / total->s;
}

// Makes the states of a tile those of a chunk; chunk `then` of KV head `then_head` is read next.
XVK_INLINE void take_chunk(xvk_dtype dtype, const xvk_attention_work *a, tile *t, int64_t kv_head, int64_t chunk,
                           int64_t then_head, int64_t then) {
  const int64_t bytes = xvk_kv_head_bytes(dtype, a->head_size);
  const int64_t blocks = (t->seen[t->queries - 1] + BLOCK - 1) / BLOCK, begin = chunk * CHUNK_BLOCKS;
  const int64_t end = blocks < begin + CHUNK_BLOCKS ? blocks : begin + CHUNK_BLOCKS;
  clear(t->states, t->stride, t->queries);
  for (int64_t block = begin; block < end; ++block) {
    const int64_t next = block + 1 < end ? block + 1 : then * CHUNK_BLOCKS;
    const int64_t next_head = block + 1 < end ? kv_head : then_head;
    const unsigned char *const here = (const unsigned char *)a->blocks[block] + kv_head * bytes;
    const unsigned char *const there = (const unsigned char *)a->blocks[next] + next_head * bytes;
    const unsigned char *const keys = here + a->key_offset, *const values = here + a->value_offset;
    const unsigned char *const next_keys = there + a->key_offset, *const next_values = there + a->value_offset;
    const bool far = bytes < FAR_BYTES;
    add_block(dtype, t, keys, values, ahead_of(far ? next_keys : values, bytes),
              ahead_of(far ? next_values : next_keys, bytes), block * BLOCK, a->head_size, a->scale);
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
