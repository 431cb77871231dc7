// kernels.h -- what the drivers, the kernels of each instruction set and the table between them share; internal.
//
// A driver (gemm.c, attention.c ...) writes one call down as a <op>_work struct, decides how the work is split, and
// runs the range kernels of the table on it. A range kernel is serial, so that its instruction set never meets an
// OpenMP region: clang outlines the body of a region without the target attribute of the function around it.
#ifndef XVK_KERNELS_H
#define XVK_KERNELS_H
#include "xverse_kernels.h"

// A xvk_dtype is an index into the arrays of the table.
enum {
  XVK_FLOAT_DTYPES = XVK_INT8,
  XVK_WEIGHT_DTYPES = XVK_INT4_F16 + 1,
  XVK_CACHE_DTYPES = XVK_INT8 + 1
};  // no cache is bf16

// Computes the units begin ..< end of `work`, a struct of the operation. Units never share an output.
typedef void xvk_range(const void *work, int64_t begin, int64_t end);

// y[i] = w[i] for count numbers, exactly; w may start at any byte.
typedef void xvk_widen(float *y, const void *w, int64_t count);

// Unit: a row of W; ranges of quantized W begin at multiples of XVK_PANEL. The sum of y[t, r] has the same order whatever
// the range and the number of tokens are. For quantized W x is packed in tiles of `tile` tokens (quantized.h), whose sums
// are multiplied by `factors` [tokens]. For float W x is f32; of more than XVK_FLOAT_AS_IS tokens, of which there are
// XVK_FLOAT_TURN at most, it is packed by pack_f32, and XVK_FLOAT_ROOM floats at `room` are the kernel's to write on.
// w_stride: that of xvk_weights.
enum {
  XVK_FLOAT_AS_IS = 3,
  XVK_FLOAT_TURN = 96,
  XVK_FLOAT_PANEL = 16,   // rows of W that are multiplied together
  XVK_FLOAT_DEPTH = 512,  // and columns
  XVK_FLOAT_LANES = 16,   // of the widest vectors
  XVK_FLOAT_ROOM = XVK_FLOAT_PANEL * (XVK_FLOAT_DEPTH + XVK_FLOAT_TURN * XVK_FLOAT_LANES),
};
typedef struct {
  float *y;
  const void *x;
  const float *factors;
  const unsigned char *w;
  float *room;
  int64_t y_stride, w_stride, tokens, rows, cols, tile;
} xvk_gemm_work;

// Unit: a tile of `tile` tokens. Scales are multiplied by `unit`, a power of two; with has_exponents what xvk_stored_scale
// and xvk_stored_sum make of scales and sums is stored.
typedef struct {
  unsigned char *packed;
  float *factors;
  const float *x;
  int64_t tokens, cols, tile;
  float unit;
  int32_t has_exponents;
} xvk_pack_work;

// x [tokens, cols] in the order that float products read it (gemm_float.h). Unit: a token.
typedef struct {
  float *packed;  // aligned to 64 bytes
  const float *x;
  int64_t tokens, cols;
} xvk_pack_f32_work;

// Unit: a panel of w. *faults becomes 1 when a weight is not finite or too large.
typedef struct {
  unsigned char *w;
  const float *x, *importance;
  int64_t rows, cols;
  int32_t *faults;
} xvk_quantize_work;

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

// One segment; k and v begin with its first token. The parts of the layer stand key_offset and value_offset bytes behind the
// start of each block. Unit: a KV head of a block, u = block * kv_heads + kv_head, blocks counted from the one that holds
// `position`.
typedef struct {
  void *const *blocks;
  int64_t key_offset, value_offset;
  const float *k, *v;
  int64_t position, tokens, kv_heads, head_size;
} xvk_kv_store_work;

// The tokens token ..< token + count belong into the slots slot ..< slot + count of a block.
typedef struct {
  int64_t block, head, slot, token, count;
} xvk_kv_run;

static inline xvk_kv_run xvk_kv_store_run(const xvk_kv_store_work *s, int64_t unit) {
  const int64_t block = s->position / XVK_KV_BLOCK + unit / s->kv_heads, start = block * XVK_KV_BLOCK;
  const int64_t first = start > s->position ? start : s->position;
  const int64_t last = s->position + s->tokens < start + XVK_KV_BLOCK ? s->position + s->tokens : start + XVK_KV_BLOCK;
  return (xvk_kv_run){block, unit % s->kv_heads, first - start, first - s->position, last - first};
}

// One segment; out and q begin with its first token, `blocks` and offsets are as in xvk_kv_store_work.
// The queries of a KV head are numbered token by token, the heads of its group innermost, and cut into `tiles` tiles of
// `tile` (the last may be shorter). Unit: a part of a tile, u = (kv_head * tiles + i) * parts + part. There is one part,
// or one tile and a part for each chunk of positions, whose softmax goes to `partials` [kv_heads, parts, queries]; the
// units of attention_merge, u = kv_head * queries + i, then make `out` of them. No bit depends on the cuts.
typedef struct {
  float *out;
  const float *q;
  void *const *blocks;
  int64_t key_offset, value_offset, position, heads, kv_heads, head_size;
  float scale;
  float *partials;
  int64_t queries, tile, tiles, parts;
} xvk_attention_work;

enum { XVK_ATTENTION_TILE = 12 };  // the largest `tile`

// The softmax over some positions: the largest score m, s = sum of e^(score - m), o = sum of e^(score - m) * V. In arrays
// each ends after its head_size numbers, rounded up to whole vectors.
typedef struct {
  float m, s, unused[14], o[XVK_MAX_HEAD_SIZE];
} xvk_softmax;

// Distance of two in floats.
static inline int64_t xvk_softmax_stride(int64_t head_size) { return 16 + (head_size + 15) / 16 * 16; }

static inline int64_t xvk_attention_chunks(int64_t seen) {
  return (seen + XVK_ATTENTION_CHUNK - 1) / XVK_ATTENTION_CHUNK;
}

// Where the vector of the i-th query of a KV head stands in q and out.
static inline int64_t xvk_attention_query_offset(const xvk_attention_work *a, int64_t kv_head, int64_t i) {
  const int64_t group = a->heads / a->kv_heads;
  return (i / group * a->heads + kv_head * group + i % group) * a->head_size;
}

// The partial of the i-th query of a KV head; those of the next queries follow it.
static inline xvk_softmax *xvk_attention_partial(const xvk_attention_work *a, int64_t kv_head, int64_t part,
                                                 int64_t i) {
  const int64_t index = (kv_head * a->parts + part) * a->queries + i;
  return (xvk_softmax *)(a->partials + index * xvk_softmax_stride(a->head_size));
}

// The number of positions that the i-th query of a KV head sees.
static inline int64_t xvk_attention_seen(const xvk_attention_work *a, int64_t i) {
  return a->position + i / (a->heads / a->kv_heads) + 1;
}

// The queries first ..< first + queries of a KV head over the chunks chunk ..< chunks.
typedef struct {
  int64_t kv_head, first, queries, chunk, chunks;
} xvk_attention_unit;

// Later queries see more positions, so short and long tiles take turns: any contiguous run of units costs about the
// same.
static inline xvk_attention_unit xvk_attention_unit_at(const xvk_attention_work *a, int64_t u) {
  const int64_t i = u / a->parts % a->tiles, part = u % a->parts;
  const int64_t first = (i % 2 == 0 ? i / 2 : a->tiles - 1 - i / 2) * a->tile;
  const int64_t queries = a->queries - first < a->tile ? a->queries - first : a->tile;
  const int64_t chunks = xvk_attention_chunks(xvk_attention_seen(a, first + queries - 1));
  return (xvk_attention_unit){u / a->parts / a->tiles, first, queries, part, a->parts > 1 ? part + 1 : chunks};
}

// Unit: a panel of w. The columns col ..< col + width of x and u, whose group i is group order[i] of w; errors
// [rows, XVK_GPTQ_BLOCK].
typedef struct {
  unsigned char *w;
  float *x, *errors;
  const float *u;
  const int32_t *order;
  int64_t rows, cols, col, width;
  int32_t *faults;
} xvk_gptq_work;

struct xvk_table {
  xvk_range *gemm[XVK_WEIGHT_DTYPES];
  xvk_widen *widen[XVK_FLOAT_DTYPES];
  xvk_range *pack_s16, *pack_s8;
  xvk_range *pack_f32;                    // NULL: x is never packed for float weights
  int32_t pack_tile, pack_has_exponents;  // the tile of several tokens
  xvk_range *quantize_int8, *quantize_int4, *gptq_int8, *gptq_int4;
  xvk_range *rmsnorm, *rope, *swiglu, *add;
  double (*logsumexp)(const float *x, int64_t count);
  xvk_range *kv_store[XVK_CACHE_DTYPES];
  xvk_range *attention[XVK_CACHE_DTYPES], *attention_merge;
};

#define XVK_DECLARE_KERNELS(isa)                                                                        \
  xvk_range xvk_gemm_f32_f32_##isa, xvk_gemm_f32_f16_##isa, xvk_gemm_f32_bf16_##isa;                    \
  xvk_range xvk_gemm_s16_int8_##isa, xvk_gemm_s8_int4_##isa, xvk_gemm_s8_int4_f16_##isa;                \
  xvk_range xvk_pack_s16_##isa, xvk_pack_s8_##isa, xvk_pack_f32_##isa;                                  \
  xvk_range xvk_quantize_int8_##isa, xvk_quantize_int4_##isa, xvk_gptq_int8_##isa, xvk_gptq_int4_##isa; \
  xvk_widen xvk_widen_f32_f32_##isa, xvk_widen_f32_f16_##isa, xvk_widen_f32_bf16_##isa;                 \
  xvk_range xvk_rmsnorm_f32_##isa, xvk_rope_f32_##isa, xvk_swiglu_f32_##isa, xvk_add_f32_##isa;         \
  double xvk_logsumexp_f32_##isa(const float *x, int64_t count);                                        \
  xvk_range xvk_kv_store_f32_##isa, xvk_kv_store_f16_##isa, xvk_kv_store_int8_##isa;                    \
  xvk_range xvk_attention_f32_f32_##isa, xvk_attention_f32_f16_##isa, xvk_attention_f32_int8_##isa;     \
  xvk_range xvk_attention_merge_##isa

XVK_DECLARE_KERNELS(reference);
XVK_DECLARE_KERNELS(avx2);
XVK_DECLARE_KERNELS(avxvnni);
XVK_DECLARE_KERNELS(avx512);
XVK_DECLARE_KERNELS(neon);

#endif
