// gemm.c -- y = x W^T for f32, f16 and bf16 weights: chooses between the own kernels and BLAS, splits by rows of W.
#include "blas.h"
#include "numbers.h"
#include "parallel.h"

// Rows that one thread takes together at least: 16 floats are a cache line of y.
enum { ROW_GRAIN = 16 };

// Columns of a widened panel: the depth that OpenBLAS itself cuts products into on current x86, 384. A panel of
// XVK_GEMM_TILE rows is then 768 KiB and waits in a core's L2 until sgemm has packed it.
enum { PANEL_COLS = 384 };

typedef struct {
  xvk_gemm_work product;
  xvk_number number;
  xvk_widen *widen;
  float *scratch;
  int64_t parts;
} blas_work;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

size_t xvk_gemm_scratch(const xvk_compute *c, int64_t tokens, int64_t cols) {
  if (tokens < XVK_GEMM_BLAS) return 0;
  return (size_t)c->threads * XVK_GEMM_TILE * (size_t)smaller(cols, PANEL_COLS);
}

// One tile: the columns are the inner dimension of the product, so its panels add up in y.
static void blas_tile(const blas_work *b, float *panel, int64_t row, int64_t rows) {
  const xvk_gemm_work *const p = &b->product;
  const int64_t size = xvk_number_size(b->number);
  const int in_place = b->number == XVK_F32 && (uintptr_t)p->w % sizeof(float) == 0;
  for (int64_t col = 0; col < p->cols; col += PANEL_COLS) {
    const int64_t cols = smaller(PANEL_COLS, p->cols - col);
    const unsigned char *const w = p->w + (row * p->cols + col) * size;
    if (in_place) {
      xvk_blas_gemm(p->y + row, p->y_stride, p->x + col, p->cols, (const void *)w, p->cols, p->tokens, rows, cols,
                    col > 0);
    } else {
      for (int64_t r = 0; r < rows; ++r) b->widen(panel + r * cols, w + r * p->cols * size, cols);
      xvk_blas_gemm(p->y + row, p->y_stride, p->x + col, p->cols, panel, cols, p->tokens, rows, cols, col > 0);
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
  const int64_t rows = b->product.rows, tile = rows_of_tile(rows), tiles = (rows + tile - 1) / tile;
  float *const panel = b->scratch + part * XVK_GEMM_TILE * smaller(b->product.cols, PANEL_COLS);
  const int64_t end = xvk_part_begin(tiles, b->parts, part + 1);
  for (int64_t i = xvk_part_begin(tiles, b->parts, part); i < end; ++i) {
    blas_tile(b, panel, i * tile, smaller(tile, rows - i * tile));
  }
}

static void gemm(const xvk_compute *c, const xvk_gemm_work *product, xvk_number number, float *scratch) {
  const int32_t threads = xvk_worthwhile_threads(c, product->tokens * product->rows * product->cols);
  if (product->tokens < XVK_GEMM_BLAS) {
    xvk_split(threads, c->table->gemm[number], product, product->rows, ROW_GRAIN);
  } else {
    const blas_work b = {*product, number, c->table->widen[number], scratch, threads};
    xvk_blas_keep_serial();
    xvk_parallel(threads, blas_part, &b);
  }
}

void xvk_gemm_f32_f32(const xvk_compute *c, float *y, int64_t y_stride, const float *x, const void *w, int64_t tokens,
                      int64_t rows, int64_t cols, float *scratch) {
  gemm(c, &(xvk_gemm_work){y, x, w, y_stride, tokens, rows, cols}, XVK_F32, scratch);
}

void xvk_gemm_f32_f16(const xvk_compute *c, float *y, int64_t y_stride, const float *x, const void *w, int64_t tokens,
                      int64_t rows, int64_t cols, float *scratch) {
  gemm(c, &(xvk_gemm_work){y, x, w, y_stride, tokens, rows, cols}, XVK_F16, scratch);
}

void xvk_gemm_f32_bf16(const xvk_compute *c, float *y, int64_t y_stride, const float *x, const void *w, int64_t tokens,
                       int64_t rows, int64_t cols, float *scratch) {
  gemm(c, &(xvk_gemm_work){y, x, w, y_stride, tokens, rows, cols}, XVK_BF16, scratch);
}
