// gemm.c -- products y = x W^T that share x: packs x, splits by rows of all W.
#include "parallel.h"
#include "quantized.h"

// Rows that one thread takes together at least: 16 floats are a cache line of y, and a panel of quantized weights.
enum { ROW_GRAIN = 16 };

// What it takes to pack an element of x, in multiply-adds of xvk_worthwhile_threads.
enum { PACK_COST = 4 };

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int is_quantized(xvk_dtype dtype) { return dtype >= XVK_FLOAT_DTYPES; }

// Float weights: whether x is packed, or multiplied as it is.
static int packs_floats(const xvk_compute *c, int64_t tokens) {
  return c->table->pack_f32 != NULL && tokens > XVK_FLOAT_AS_IS;
}

// Many tokens are packed and multiplied in turns, so that packed x stays in a cache.
static int64_t turns_of(int64_t tokens) { return (tokens + XVK_FLOAT_TURN - 1) / XVK_FLOAT_TURN; }

// Columns of packed x: whole vectors of any set.
static int64_t padded(int64_t cols) { return (cols + XVK_FLOAT_LANES - 1) / XVK_FLOAT_LANES * XVK_FLOAT_LANES; }

// Scratch begins at any float, packed x at a cache line.
static float *aligned(float *scratch) { return (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63); }

size_t xvk_gemm_scratch(const xvk_compute *c, int64_t tokens, int64_t cols) {
  const size_t quantized = (size_t)(tokens * xvk_groups(cols)) * XVK_S16_GROUP / sizeof(float) + (size_t)tokens;
  if (!packs_floats(c, tokens)) return quantized;
  const size_t turn = (size_t)(smaller(tokens, XVK_FLOAT_TURN) * padded(cols));
  const size_t floats = turn + (size_t)c->threads * XVK_FLOAT_ROOM + 64 / sizeof(float);
  return quantized > floats ? quantized : floats;
}

// ---- all products as one task, cut at rows of any of them ----

typedef struct {
  xvk_range *kernel;
  const xvk_gemm_work *products;
  float *rooms;  // XVK_FLOAT_ROOM floats a part, or NULL
  int64_t count, grains, parts;
} rows_work;

static int64_t grains_of(const xvk_gemm_work *p) { return (p->rows + ROW_GRAIN - 1) / ROW_GRAIN; }

static void rows_part(const void *context, int64_t part) {
  const rows_work *const w = context;
  const int64_t begin = xvk_part_begin(w->grains, w->parts, part), end = xvk_part_begin(w->grains, w->parts, part + 1);
  int64_t first = 0;  // grain of the product
  for (int64_t i = 0; i < w->count; ++i) {
    xvk_gemm_work p = w->products[i];
    const int64_t from = begin > first ? begin - first : 0, to = smaller(end - first, grains_of(&p));
    p.room = w->rooms ? w->rooms + part * XVK_FLOAT_ROOM : NULL;
    if (from < to) w->kernel(&p, from * ROW_GRAIN, smaller(to * ROW_GRAIN, p.rows));
    first += grains_of(&p);
  }
}

static void multiply(int32_t threads, xvk_range *kernel, const xvk_gemm_work *products, int64_t count, float *rooms) {
  rows_work w = {kernel, products, rooms, count, 0, 0};
  for (int64_t i = 0; i < count; ++i) w.grains += grains_of(&products[i]);
  w.parts = smaller(w.grains, threads);
  xvk_parallel(threads, (int32_t)w.parts, rows_part, &w);
}

// ---- drivers ----

// Packs x for quantized weights into scratch, behind its factors; returns the tokens of a tile.
static int64_t pack(const xvk_compute *c, xvk_dtype dtype, const float *x, int64_t tokens, int64_t cols,
                    float *scratch) {
  xvk_range *const kernel = dtype == XVK_INT8 ? c->table->pack_s16 : c->table->pack_s8;
  const xvk_pack_work p = {(unsigned char *)(scratch + tokens),
                           scratch,
                           x,
                           tokens,
                           cols,
                           tokens == 1 ? 1 : c->table->pack_tile,
                           xvk_scale_unit(dtype),
                           c->table->pack_has_exponents};
  const int64_t tiles = (tokens + p.tile - 1) / p.tile;
  xvk_split(xvk_worthwhile_threads(c, PACK_COST * tokens * cols), kernel, &p, tiles, 1);
  return p.tile;
}

static void multiply_packed_floats(const xvk_compute *c, xvk_dtype dtype, int32_t threads, xvk_gemm_work *work,
                                   int64_t count, const float *x, int64_t tokens, float *scratch) {
  const int64_t cols = work[0].cols, turns = turns_of(tokens);
  float *const packed = aligned(scratch), *const rooms = packed + smaller(tokens, XVK_FLOAT_TURN) * padded(cols);
  for (int64_t turn = 0; turn < turns; ++turn) {
    const int64_t first = xvk_part_begin(tokens, turns, turn), some = xvk_part_begin(tokens, turns, turn + 1) - first;
    const xvk_pack_f32_work p = {packed, x + first * cols, some, cols};
    xvk_split(xvk_worthwhile_threads(c, some * cols), c->table->pack_f32, &p, some, 1);
    for (int64_t i = 0; i < count; ++i) work[i].tokens = some;
    multiply(threads, c->table->gemm[dtype], work, count, rooms);
    for (int64_t i = 0; i < count; ++i) work[i].y += some * work[i].y_stride;
  }
}

void xvk_gemm(const xvk_compute *c, const xvk_product *products, int64_t count, const float *x, int64_t tokens,
              float *scratch) {
  const xvk_dtype dtype = products[0].w.dtype;
  const int64_t cols = products[0].w.cols, tile = is_quantized(dtype) ? pack(c, dtype, x, tokens, cols, scratch) : 0;
  const int is_packed = !is_quantized(dtype) && packs_floats(c, tokens);
  const float *const place = is_packed ? aligned(scratch) : tile ? scratch + tokens : x;
  xvk_gemm_work work[XVK_MAX_PRODUCTS];
  int64_t rows = 0;
  for (int64_t i = 0; i < count; ++i) {
    const xvk_product *const p = &products[i];
    work[i] = (xvk_gemm_work){
        p->y, place, scratch, p->w.data, NULL, p->y_stride, p->w.stride, tokens, p->w.rows, cols, tile,
    };
    rows += p->w.rows;
  }
  const int32_t threads = xvk_worthwhile_threads(c, tokens * rows * cols);
  if (is_packed) {
    multiply_packed_floats(c, dtype, threads, work, count, x, tokens, scratch);
  } else {
    multiply(threads, c->table->gemm[dtype], work, count, NULL);
  }
}
