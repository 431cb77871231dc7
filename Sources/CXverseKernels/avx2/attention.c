// attention.c -- causal softmax attention over a blocked KV cache, a tile of queries times a block of 64 positions.
//
//   q, out [tokens, heads, head_size] f32; key block [kv_heads, head_size, 64], value block [kv_heads, 64, head_size]
//
// With positions innermost in a key block, scores = Q K and the weighted values P V have one shape: small matrices
// [queries, k] times the rows of a block. One loop serves both; it adds over k one by one, for every query in the same
// order, so no bit of a query depends on its tile. Bound: the multipliers in prefill, reading the cache in decode.
#if defined(__x86_64__)
#include "vectors.h"
#include <math.h>

enum { TILE = XVK_ATTENTION_TILE, BLOCK = XVK_KV_BLOCK, STREAMS = 4 };

// What the next block holds, fetched while this one is worked on. The hardware's prefetcher starts anew at each page,
// so the lines are taken in turn from 4 places: decode reads at 0.88 of the bare read, against 0.77 from one place
// and 0.61 without (Xeon with 2 MiB L2, 1 thread, f16, 32 heads of 128, depth 4096).
typedef struct {
  const unsigned char *streams[STREAMS];
  int64_t line, lines;
} ahead;

// c[i, j] += sum over k in begin ..< end of a[i][k] * b[k, j] for j < columns; c has room for whole vectors of 8.
typedef struct {
  float *c;
  const float *const *a;
  const unsigned char *b; // rows of b_size bytes
  int64_t c_stride, b_size, columns, begin, end;
} product;

// The running softmax of a tile: the largest score m, s = sum of e^(score - m), o = sum of e^(score - m) * V.
typedef struct {
  const float *q[TILE];
  int64_t seen[TILE]; // positions that each query sees, in ascending order
  float m[TILE], s[TILE];
  _Alignas(32) float p[TILE][BLOCK]; // scores of a block, then e^(score - m)
  _Alignas(32) float o[TILE * XVK_MAX_HEAD_SIZE];
  int64_t queries, o_stride;
} tile;

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

// `queries` rows x `vectors` * 8 columns of a product; one vector of `some` < 8 columns when that is not 0.
XVK_INLINE void outer_products(xvk_number number, int queries, int vectors, const product *p, ahead *next, int64_t row,
                               int64_t column, int64_t some) {
  const int64_t size = xvk_number_size(number), lines = next->lines;
  const int lines_each = vectors * 8 * size < 64 ? 1 : (int)(vectors * 8 * size / 64);
  float *const c = p->c + row * p->c_stride + column;
  const unsigned char *b = p->b + p->begin * p->b_size + column * size;
  int64_t line = next->line;
  __m256 sums[6][8];
  for (int i = 0; i < queries; ++i)
    for (int v = 0; v < vectors; ++v) sums[i][v] = _mm256_loadu_ps(c + i * p->c_stride + 8 * v);
  for (int64_t k = p->begin; k < p->end; ++k, b += p->b_size) {
    for (int j = 0; j < lines_each; ++j, ++line)
      if (line < lines) _mm_prefetch((const char *)next->streams[line % STREAMS] + line / STREAMS * 64, _MM_HINT_T1);
    __m256 bs[8];
    for (int v = 0; v < vectors; ++v) bs[v] = some ? load_some(number, b, some) : load8(number, b + 8 * v * size);
    for (int i = 0; i < queries; ++i) {
      const __m256 as = _mm256_broadcast_ss(p->a[row + i] + k);
      for (int v = 0; v < vectors; ++v) sums[i][v] = _mm256_fmadd_ps(as, bs[v], sums[i][v]);
    }
  }
  for (int i = 0; i < queries; ++i)
    for (int v = 0; v < vectors; ++v) _mm256_storeu_ps(c + i * p->c_stride + 8 * v, sums[i][v]);
  next->line = line;
}

XVK_INLINE void multiply_rows(xvk_number number, int queries, int vectors, const product *p, ahead *next, int64_t row) {
  int64_t column = 0;
  for (; column + 8 * vectors <= p->columns; column += 8 * vectors)
    outer_products(number, queries, vectors, p, next, row, column, 0);
  for (; column + 8 <= p->columns; column += 8) outer_products(number, queries, 1, p, next, row, column, 0);
  if (column < p->columns) outer_products(number, queries, 1, p, next, row, column, p->columns - column);
}

// Rows row ..< row + queries of a product, queries <= TILE, in groups that keep their sums in the registers.
XVK_INLINE void multiply(xvk_number number, const product *p, ahead *next, int64_t row, int64_t queries) {
  for (const int64_t end = row + queries; row < end;) {
    const int64_t left = end - row, group = left <= 6 ? left : (left + 1) / 2;
    switch (group) {
    case 1: multiply_rows(number, 1, 8, p, next, row); break;
    case 2: multiply_rows(number, 2, 4, p, next, row); break;
    case 3: multiply_rows(number, 3, 4, p, next, row); break;
    case 4: multiply_rows(number, 4, 2, p, next, row); break;
    case 5: multiply_rows(number, 5, 2, p, next, row); break;
    default: multiply_rows(number, 6, 2, p, next, row); break;
    }
    row += group;
  }
}

// Turns the first `count` scores of a block, of which a query sees `visible`, into weights e^(score - m), and moves
// m, s and o to the new m. count is a multiple of 8; a hidden score weighs 0, so the sum is the same for any count.
XVK_INLINE void update_softmax(tile *t, int64_t i, int64_t visible, int64_t count, float scale) {
  const __m256 lanes = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  __m256 largest8 = _mm256_set1_ps(t->m[i]), sums = _mm256_setzero_ps();
  for (int64_t k = 0; k < count; k += 8) {
    __m256 score = _mm256_mul_ps(_mm256_load_ps(t->p[i] + k), _mm256_set1_ps(scale));
    if (k + 8 > visible) {
      const __m256 hidden = _mm256_cmp_ps(lanes, _mm256_set1_ps((float)(visible - k)), _CMP_GE_OQ);
      score = _mm256_blendv_ps(score, _mm256_set1_ps(-INFINITY), hidden);
    }
    largest8 = _mm256_max_ps(score, largest8);
    _mm256_store_ps(t->p[i] + k, score);
  }
  const float largest = max8(largest8);
  for (int64_t k = 0; k < count; k += 8) {
    const __m256 e = exp8(_mm256_sub_ps(_mm256_load_ps(t->p[i] + k), _mm256_set1_ps(largest)));
    sums = _mm256_add_ps(sums, e);
    _mm256_store_ps(t->p[i] + k, e);
  }
  const float sum = sum8(sums);
  if (largest == t->m[i]) { // the usual case deep in the cache: nothing shrinks
    t->s[i] += sum;
    return;
  }
  const __m256 shrink = exp8(_mm256_set1_ps(t->m[i] - largest));
  t->m[i] = largest;
  t->s[i] = t->s[i] * _mm256_cvtss_f32(shrink) + sum;
  float *const o = t->o + i * t->o_stride;
  for (int64_t d = 0; d < t->o_stride; d += 8) _mm256_store_ps(o + d, _mm256_mul_ps(_mm256_load_ps(o + d), shrink));
}

// Adds the block that starts at `position`: its part of one KV head, keys [size, 64] and values [64, size].
XVK_INLINE void add_block(xvk_number number, tile *t, const unsigned char *keys, const unsigned char *values,
                          ahead *next, int64_t position, int64_t size, float scale) {
  const int64_t bytes = xvk_number_size(number);
  int64_t visible[TILE];
  const float *weights[TILE];
  for (int64_t i = 0; i < t->queries; ++i) {
    const int64_t left = t->seen[i] - position;
    visible[i] = left < 0 ? 0 : left < BLOCK ? left : BLOCK;
    weights[i] = t->p[i];
  }
  const int64_t count = (visible[t->queries - 1] + 7) / 8 * 8;

  memset(t->p, 0, (size_t)t->queries * sizeof t->p[0]);
  const product scores = {t->p[0], t->q, keys, BLOCK, BLOCK * bytes, count, 0, size};
  multiply(number, &scores, next, 0, t->queries);
  for (int64_t i = 0; i < t->queries; ++i)
    if (visible[i] > 0) update_softmax(t, i, visible[i], count, scale);

  // Values behind a query's last position may be NaN, so they must not be multiplied even by 0.
  product weighted = {t->o, weights, values, t->o_stride, size * bytes, size, 0, visible[0]};
  multiply(number, &weighted, next, 0, t->queries);
  for (int64_t i = 1; i < t->queries; ++i) {
    weighted.begin = visible[0];
    weighted.end = visible[i];
    if (weighted.begin < weighted.end) multiply(number, &weighted, next, i, 1);
  }
}

// Points a tile at the queries first ..< first + a->tile of a KV head, nothing seen yet.
static void begin_tile(tile *t, const xvk_attention_work *a, int64_t kv_head, int64_t first) {
  t->queries = a->queries - first < a->tile ? a->queries - first : a->tile;
  t->o_stride = (a->head_size + 7) / 8 * 8;
  for (int64_t i = 0; i < t->queries; ++i) {
    t->q[i] = a->q + xvk_attention_query_offset(a, kv_head, first + i);
    t->seen[i] = xvk_attention_seen(a, first + i);
    t->m[i] = -INFINITY;
    t->s[i] = 0;
  }
  memset(t->o, 0, (size_t)(t->queries * t->o_stride) * sizeof t->o[0]);
}

static void end_tile(const tile *t, const xvk_attention_work *a, int64_t kv_head, int64_t first) {
  for (int64_t i = 0; i < t->queries; ++i) {
    float *const out = a->out + xvk_attention_query_offset(a, kv_head, first + i);
    const float *const o = t->o + i * t->o_stride;
    for (int64_t d = 0; d < a->head_size; ++d) out[d] = o[d] / t->s[i];
  }
}

XVK_INLINE void attention(xvk_number number, const xvk_attention_work *a, int64_t begin, int64_t end) {
  const int64_t bytes = a->head_size * BLOCK * xvk_number_size(number); // of a KV head in a block
  tile t;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t kv_head = unit / a->tiles, first = xvk_attention_first_query(a, unit % a->tiles);
    begin_tile(&t, a, kv_head, first);
    const int64_t blocks = (t.seen[t.queries - 1] + BLOCK - 1) / BLOCK;
    for (int64_t block = 0; block < blocks; ++block) {
      const unsigned char *const keys = a->key_blocks[block], *const values = a->value_blocks[block];
      ahead next = {.lines = 0};
      if (block + 1 < blocks) {
        const unsigned char *const k = (const unsigned char *)a->key_blocks[block + 1] + kv_head * bytes;
        const unsigned char *const v = (const unsigned char *)a->value_blocks[block + 1] + kv_head * bytes;
        next = (ahead){{k, v, k + bytes / 2, v + bytes / 2}, 0, bytes / 2 / 64 * STREAMS};
      }
      add_block(number, &t, keys + kv_head * bytes, values + kv_head * bytes, &next, block * BLOCK, a->head_size,
                a->scale);
    }
    end_tile(&t, a, kv_head, first);
  }
}

void xvk_attention_f32_f32_avx2(const void *work, int64_t begin, int64_t end) { attention(XVK_F32, work, begin, end); }
void xvk_attention_f32_f16_avx2(const void *work, int64_t begin, int64_t end) { attention(XVK_F16, work, begin, end); }

#pragma clang attribute pop
#endif
