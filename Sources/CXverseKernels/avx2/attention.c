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

enum { TILE = XVK_ATTENTION_TILE, BLOCK = XVK_KV_BLOCK };

// c[i, j] += sum over k in begin ..< end of a[i][k] * b[k, j] for j < columns; c has room for whole vectors of 8.
typedef struct {
  float *c;
  const float *const *a;
  const unsigned char *b, *next; // rows of b_size bytes; `next` has the same shape and is read after b
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
XVK_INLINE void outer_products(xvk_number number, int queries, int vectors, const product *p, int64_t row,
                               int64_t column, int64_t some) {
  float *const c = p->c + row * p->c_stride + column;
  const int64_t size = xvk_number_size(number), offset = p->begin * p->b_size + column * size;
  const unsigned char *b = p->b + offset, *next = p->next + offset;
  __m256 sums[6][8];
  for (int i = 0; i < queries; ++i)
    for (int v = 0; v < vectors; ++v) sums[i][v] = _mm256_loadu_ps(c + i * p->c_stride + 8 * v);
  for (int64_t k = p->begin; k < p->end; ++k, b += p->b_size, next += p->b_size) {
    __m256 bs[8];
    for (int64_t line = 0; line < 8 * vectors * size; line += 64) _mm_prefetch((const char *)next + line, _MM_HINT_T0);
    for (int v = 0; v < vectors; ++v) {
      bs[v] = some ? load_some(number, b, some) : load8(number, b + 8 * v * size);
    }
    for (int i = 0; i < queries; ++i) {
      const __m256 as = _mm256_broadcast_ss(p->a[row + i] + k);
      for (int v = 0; v < vectors; ++v) sums[i][v] = _mm256_fmadd_ps(as, bs[v], sums[i][v]);
    }
  }
  for (int i = 0; i < queries; ++i)
    for (int v = 0; v < vectors; ++v) _mm256_storeu_ps(c + i * p->c_stride + 8 * v, sums[i][v]);
}

XVK_INLINE void multiply_rows(xvk_number number, int queries, int vectors, const product *p, int64_t row) {
  int64_t column = 0;
  for (; column + 8 * vectors <= p->columns; column += 8 * vectors)
    outer_products(number, queries, vectors, p, row, column, 0);
  for (; column + 8 <= p->columns; column += 8) outer_products(number, queries, 1, p, row, column, 0);
  if (column < p->columns) outer_products(number, queries, 1, p, row, column, p->columns - column);
}

// Rows row ..< row + queries of a product, queries <= TILE, in groups that keep their sums in the registers.
XVK_INLINE void multiply(xvk_number number, const product *p, int64_t row, int64_t queries) {
  for (const int64_t end = row + queries; row < end;) {
    const int64_t left = end - row, group = left <= 6 ? left : left <= 12 ? (left + 1) / 2 : 6;
    switch (group) {
    case 1: multiply_rows(number, 1, 8, p, row); break;
    case 2: multiply_rows(number, 2, 4, p, row); break;
    case 3: multiply_rows(number, 3, 4, p, row); break;
    case 4: multiply_rows(number, 4, 2, p, row); break;
    case 5: multiply_rows(number, 5, 2, p, row); break;
    default: multiply_rows(number, 6, 2, p, row); break;
    }
    row += group;
  }
}

// Turns the scores of a query and a block into weights e^(score - m), and moves m, s and o to the new m.
static void update_softmax(tile *t, int64_t i, int64_t visible, float scale) {
  const __m256 lanes = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  __m256 largest8 = _mm256_set1_ps(t->m[i]), sums = _mm256_setzero_ps();
  for (int64_t k = 0; k < BLOCK; k += 8) {
    const __m256 hidden = _mm256_cmp_ps(lanes, _mm256_set1_ps((float)(visible - k)), _CMP_GE_OQ);
    const __m256 score = _mm256_mul_ps(_mm256_load_ps(t->p[i] + k), _mm256_set1_ps(scale));
    const __m256 masked = _mm256_blendv_ps(score, _mm256_set1_ps(-INFINITY), hidden);
    largest8 = _mm256_max_ps(masked, largest8);
    _mm256_store_ps(t->p[i] + k, masked);
  }
  const float largest = max8(largest8);
  for (int64_t k = 0; k < BLOCK; k += 8) {
    const __m256 e = exp8(_mm256_sub_ps(_mm256_load_ps(t->p[i] + k), _mm256_set1_ps(largest)));
    sums = _mm256_add_ps(sums, e);
    _mm256_store_ps(t->p[i] + k, e);
  }
  const __m256 shrink = exp8(_mm256_set1_ps(t->m[i] - largest));
  t->m[i] = largest;
  t->s[i] = t->s[i] * _mm256_cvtss_f32(shrink) + sum8(sums);
  float *const o = t->o + i * t->o_stride;
  for (int64_t d = 0; d < t->o_stride; d += 8) _mm256_store_ps(o + d, _mm256_mul_ps(_mm256_load_ps(o + d), shrink));
}

// Adds the block that starts at `position`: its part of one KV head, keys [size, 64] and values [64, size].
XVK_INLINE void add_block(xvk_number number, tile *t, const unsigned char *const keys[2],
                          const unsigned char *const values[2], int64_t position, int64_t size, float scale) {
  memset(t->p, 0, (size_t)t->queries * sizeof t->p[0]);
  const int64_t bytes = xvk_number_size(number);
  multiply(number, &(product){t->p[0], t->q, keys[0], keys[1], BLOCK, BLOCK * bytes, BLOCK, 0, size}, 0, t->queries);

  const float *weights[TILE];
  int64_t visible[TILE];
  for (int64_t i = 0; i < t->queries; ++i) {
    const int64_t left = t->seen[i] - position;
    weights[i] = t->p[i];
    visible[i] = left < 0 ? 0 : left < BLOCK ? left : BLOCK;
    if (visible[i] > 0) update_softmax(t, i, visible[i], scale);
  }
  // Values behind a query's last position may be NaN, so they must not be multiplied even by 0.
  product weighted = {t->o, weights, values[0], values[1], t->o_stride, size * bytes, size, 0, visible[0]};
  multiply(number, &weighted, 0, t->queries);
  for (int64_t i = 1; i < t->queries; ++i) {
    weighted.begin = visible[0];
    weighted.end = visible[i];
    if (weighted.begin < weighted.end) multiply(number, &weighted, i, 1);
  }
}

static void write_out(const xvk_attention_work *a, const tile *t, int64_t kv_head, int64_t first) {
  for (int64_t i = 0; i < t->queries; ++i) {
    float *const out = a->out + xvk_attention_query_offset(a, kv_head, first + i);
    const float *const o = t->o + i * t->o_stride;
    for (int64_t d = 0; d < a->head_size; ++d) out[d] = o[d] / t->s[i];
  }
}

// The part of a block that belongs to one KV head.
XVK_INLINE const unsigned char *part(const void *const *blocks, int64_t block, int64_t head) {
  return (const unsigned char *)blocks[block] + head;
}

XVK_INLINE void attention(xvk_number number, const xvk_attention_work *a, int64_t begin, int64_t end) {
  tile t = {.o_stride = (a->head_size + 7) / 8 * 8};
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t kv_head = unit / a->tiles, first = xvk_attention_first_query(a, unit % a->tiles);
    const int64_t head = kv_head * a->head_size * BLOCK * xvk_number_size(number);
    t.queries = a->queries - first < a->tile ? a->queries - first : a->tile;
    for (int64_t i = 0; i < t.queries; ++i) {
      t.q[i] = a->q + xvk_attention_query_offset(a, kv_head, first + i);
      t.seen[i] = xvk_attention_seen(a, first + i);
      t.m[i] = -INFINITY;
      t.s[i] = 0;
    }
    memset(t.o, 0, (size_t)(t.queries * t.o_stride) * sizeof t.o[0]);
    const int64_t last = (t.seen[t.queries - 1] - 1) / BLOCK;
    for (int64_t block = 0; block <= last; ++block) {
      const int64_t next = block < last ? block + 1 : last;
      const unsigned char *const keys[] = {part(a->key_blocks, block, head), part(a->key_blocks, next, head)};
      const unsigned char *const values[] = {part(a->value_blocks, block, head), part(a->value_blocks, next, head)};
      add_block(number, &t, keys, values, block * BLOCK, a->head_size, a->scale);
    }
    write_out(a, &t, kv_head, first);
  }
}

void xvk_attention_f32_f32_avx2(const void *work, int64_t begin, int64_t end) { attention(XVK_F32, work, begin, end); }
void xvk_attention_f32_f16_avx2(const void *work, int64_t begin, int64_t end) { attention(XVK_F16, work, begin, end); }

#pragma clang attribute pop
#endif
