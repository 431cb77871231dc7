// kernels.h -- what the drivers, the kernels of each instruction set and the table between them share; internal.
//
// A driver (gemm.c, attention.c ...) writes one call down as a <op>_work struct, decides how the work is split, and
// runs the range kernels of the table on it. A range kernel is serial, so that its instruction set never meets an
// OpenMP region: clang outlines the body of a region without the target attribute of the function around it.
#ifndef XVK_KERNELS_H
#define XVK_KERNELS_H
#include "xverse_kernels.h"

// How stored numbers are encoded; an index into the arrays of the table.
typedef enum { XVK_F32, XVK_F16, XVK_BF16 } xvk_number;
enum { XVK_WEIGHT_NUMBERS = 3, XVK_CACHE_NUMBERS = 2 };

// Computes the units begin ..< end of `work`, a struct of the operation. Units never share an output.
typedef void xvk_range(const void *work, int64_t begin, int64_t end);

// y[i] = w[i] for count numbers, exactly; w may start at any byte.
typedef void xvk_widen(float *y, const void *w, int64_t count);

// Unit: a row of W. The sum of y[t, r] has the same order whatever the range and the number of tokens are.
typedef struct {
  float *y;
  const float *x;
  const unsigned char *w;
  int64_t y_stride, tokens, rows, cols;
} xvk_gemm_work;

// Unit: a token.
typedef struct {
  float *y;
  const float *x, *weight;
  int64_t size;
  float epsilon;
} xvk_rmsnorm_work;

// Unit: a token.
typedef struct {
  float *x;
  const float *cos, *sin;
  int64_t heads, head_size;
} xvk_rope_work;

// Unit: a token.
typedef struct {
  float *y;
  const float *gate_up;
  int64_t size;
} xvk_swiglu_work;

// Unit: an element.
typedef struct {
  float *x;
  const float *y;
} xvk_add_work;

// Unit: a KV head of a block, u = block * kv_heads + kv_head, blocks counted from the one that holds `position`.
typedef struct {
  void *const *key_blocks, *const *value_blocks;
  const float *k, *v;
  int64_t position, tokens, kv_heads, head_size;
} xvk_kv_store_work;

// The tokens token ..< token + count belong into the slots slot ..< slot + count of a block.
typedef struct {
  int64_t block, head, slot, token, count;
} xvk_kv_segment;

static inline xvk_kv_segment xvk_kv_store_segment(const xvk_kv_store_work *s, int64_t unit) {
  const int64_t block = s->position / XVK_KV_BLOCK + unit / s->kv_heads, start = block * XVK_KV_BLOCK;
  const int64_t first = start > s->position ? start : s->position;
  const int64_t last = s->position + s->tokens < start + XVK_KV_BLOCK ? s->position + s->tokens : start + XVK_KV_BLOCK;
  return (xvk_kv_segment){block, unit % s->kv_heads, first - start, first - s->position, last - first};
}

// Unit: a tile of queries, u = kv_head * tiles + i. The queries of a KV head are numbered token by token, the heads of
// its group innermost, and cut into `tiles` tiles of `tile` (the last may be shorter). No bit depends on the tile.
typedef struct {
  float *out;
  const float *q;
  const void *const *key_blocks, *const *value_blocks;
  int64_t position, heads, kv_heads, head_size, queries, tile, tiles;
  float scale;
} xvk_attention_work;

enum { XVK_ATTENTION_TILE = 12 }; // the largest `tile`

// The first query of the i-th tile of a KV head. Later queries see more positions, so short and long tiles take turns:
// any contiguous run of units then costs about the same.
static inline int64_t xvk_attention_first_query(const xvk_attention_work *a, int64_t i) {
  return (i % 2 == 0 ? i / 2 : a->tiles - 1 - i / 2) * a->tile;
}

// Where the vector of the i-th query of a KV head stands in q and out.
static inline int64_t xvk_attention_query_offset(const xvk_attention_work *a, int64_t kv_head, int64_t i) {
  const int64_t group = a->heads / a->kv_heads;
  return (i / group * a->heads + kv_head * group + i % group) * a->head_size;
}

// The number of positions that the i-th query of a KV head sees.
static inline int64_t xvk_attention_seen(const xvk_attention_work *a, int64_t i) {
  return a->position + i / (a->heads / a->kv_heads) + 1;
}

struct xvk_table {
  xvk_range *gemm[XVK_WEIGHT_NUMBERS];
  xvk_widen *widen[XVK_WEIGHT_NUMBERS];
  xvk_range *rmsnorm, *rope, *swiglu, *add;
  double (*logsumexp)(const float *x, int64_t count);
  xvk_range *kv_store[XVK_CACHE_NUMBERS];
  xvk_range *attention[XVK_CACHE_NUMBERS];
};

#define XVK_DECLARE_KERNELS(isa)                                                                                       \
  xvk_range xvk_gemm_f32_f32_##isa, xvk_gemm_f32_f16_##isa, xvk_gemm_f32_bf16_##isa;                                   \
  xvk_widen xvk_widen_f32_f32_##isa, xvk_widen_f32_f16_##isa, xvk_widen_f32_bf16_##isa;                                \
  xvk_range xvk_rmsnorm_f32_##isa, xvk_rope_f32_##isa, xvk_swiglu_f32_##isa, xvk_add_f32_##isa;                        \
  double xvk_logsumexp_f32_##isa(const float *x, int64_t count);                                                       \
  xvk_range xvk_kv_store_f32_##isa, xvk_kv_store_f16_##isa;                                                            \
  xvk_range xvk_attention_f32_f32_##isa, xvk_attention_f32_f16_##isa

XVK_DECLARE_KERNELS(reference);
XVK_DECLARE_KERNELS(avx2);

#endif
