// gemm.c -- products y = x W^T that share x: chooses between the own kernels and BLAS, splits by rows of all W.
#include "blas.h"
#include "parallel.h"
#include "quantized.h"

// Rows that one thread takes together at least: 16 floats are a cache line of y, and a panel of quantized weights.
enum { ROW_GRAIN = 16 };

// Columns of a widened panel: the depth that OpenBLAS itself cuts products into on current x86, 384. A panel of
// XVK_GEMM_TILE rows is then 768 KiB and waits in a core's L2 until sgemm has packed it.
enum { PANEL_COLS = 384 };

// What it takes to pack an element of x, in multiply-adds of xvk_worthwhile_threads.
enum { PACK_COST = 4 };

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int is_quantized(xvk_dtype dtype) { return dtype >= XVK_FLOAT_DTYPES; }

size_t xvk_gemm_scratch(const xvk_compute *c, int64_t tokens, int64_t cols) {
  const size_t packed = (size_t)(tokens * xvk_groups(cols)) * XVK_S16_GROUP / sizeof(float) + (size_t)tokens;
  if (tokens < XVK_GEMM_BLAS) return packed;
  const size_t widened = (size_t)c->threads * XVK_GEMM_TILE * (size_t)smaller(cols, PANEL_COLS);
  return packed > widened ? packed : widened;
}

// ---- own kernels: all products in one region, cut at rows of any of them ----

typedef struct {
  xvk_range *kernel;
  const xvk_gemm_work *products;
  int64_t count, grains, parts;
} own_work;

static int64_t grains_of(const xvk_gemm_work *p) { return (p->rows + ROW_GRAIN - 1) / ROW_GRAIN; }

static void own_part(const void *context, int64_t part) {
  const own_work *const w = context;
  const int64_t begin = xvk_part_begin(w->grains, w->parts, part), end = xvk_part_begin(w->grains, w->parts, part + 1);
  int64_t first = 0;  // grain of the product
  for (int64_t i = 0; i < w->count; ++i) {
    const xvk_gemm_work *const p = &w->products[i];
    const int64_t from = begin > first ? begin - first : 0, to = smaller(end - first, grains_of(p));
    if (from < to) w->kernel(p, from * ROW_GRAIN, smaller(to * ROW_GRAIN, p->rows));
    first += grains_of(p);
  }
}

static void own(int32_t threads, xvk_range *kernel, const xvk_gemm_work *products, int64_t count) {
  own_work w = {kernel, products, count, 0, 0};
  for (int64_t i = 0; i < count; ++i) w.grains += grains_of(&products[i]);
  w.parts = smaller(w.grains, threads);
  xvk_parallel(threads, (int32_t)w.parts, own_part, &w);
}

// ---- BLAS ----

typedef struct {
  const xvk_gemm_work *product;
  xvk_dtype dtype;
  xvk_widen *widen;
  float *scratch;
  int64_t parts;
} blas_work;

// One tile: the columns are the inner dimension of the product, so its panels add up in y.
static void blas_tile(const blas_work *b, float *panel, int64_t row, int64_t rows) {
  const xvk_gemm_work *const p = b->product;
  const float *const x = p->x;
  const int64_t size = xvk_dtype_size(b->dtype);
  const int in_place = b->dtype == XVK_F32 && ((uintptr_t)p->w | (uintptr_t)p->w_stride) % sizeof(float) == 0;
  for (int64_t col = 0; col < p->cols; col += PANEL_COLS) {
    const int64_t cols = smaller(PANEL_COLS, p->cols - col);
    const unsigned char *const w = p->w + row * p->w_stride + col * size;
    if (in_place) {
      xvk_blas_gemm(p->y + row, p->y_stride, x + col, p->cols, (const void *)w, p->w_stride / size, p->tokens, rows,
                    cols, col > 0);
    } else {
      for (int64_t r = 0; r < rows; ++r) b->widen(panel + r * cols, w + r * p->w_stride, cols);
      xvk_blas_gemm(p->y + row, p->y_stride, x + col, p->cols, panel, cols, p->tokens, rows, cols, col > 0);
    }
  }
}

// A large tile matters because sgemm packs x anew for each. Their number is a multiple of 4, or of 8 where tiles are
// plenty, so that they can be dealt out evenly; that costs less than a thread without a tile.
static int64_t rows_of_tile(int64_t rows) {
  const int64_t even = rows < 8 * XVK_GEMM_TILE ? 4 : 8, least = (rows + XVK_GEMM_TILE - 1) / XVK_GEMM_TILE;
  const int64_t tiles = (least + even - 1) / even * even;
  return (rows + tiles * ROW_GRAIN - 1) / (tiles * ROW_GRAIN) * ROW_GRAIN;
}

static void blas_part(const void *context, int64_t part) {
  const blas_work *const b = context;
  const int64_t rows = b->product->rows, tile = rows_of_tile(rows), tiles = (rows + tile - 1) / tile;
  float *const panel = b->scratch + part * XVK_GEMM_TILE * smaller(b->product->cols, PANEL_COLS);
  const int64_t end = xvk_part_begin(tiles, b->parts, part + 1);
  for (int64_t i = xvk_part_begin(tiles, b->parts, part); i < end; ++i) {
    blas_tile(b, panel, i * tile, smaller(tile, rows - i * tile));
  }
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

void xvk_gemm(const xvk_compute *c, const xvk_product *products, int64_t count, const float *x, int64_t tokens,
              float *scratch) {
  const xvk_dtype dtype = products[0].w.dtype;
  const int64_t cols = products[0].w.cols, tile = is_quantized(dtype) ? pack(c, dtype, x, tokens, cols, scratch) : 0;
  xvk_gemm_work work[XVK_MAX_PRODUCTS];
  int64_t rows = 0;
  for (int64_t i = 0; i < count; ++i) {
    const xvk_product *const p = &products[i];
    const float *const packed = tile ? scratch + tokens : x;
    work[i] =
        (xvk_gemm_work){p->y, packed, scratch, p->w.data, p->y_stride, p->w.stride, tokens, p->w.rows, cols, tile};
    rows += p->w.rows;
  }
  const int32_t threads = xvk_worthwhile_threads(c, tokens * rows * cols);
  if (is_quantized(dtype) || tokens < XVK_GEMM_BLAS) {
    own(threads, c->table->gemm[dtype], work, count);
    return;
  }
  xvk_blas_keep_serial();
  for (int64_t i = 0; i < count; ++i) {
    const blas_work b = {&work[i], dtype, c->table->widen[dtype], scratch, threads};
    xvk_parallel(threads, threads, blas_part, &b);
  }
}
