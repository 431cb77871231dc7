// quantize.c -- drivers of the quantization of weights.
#include "blas.h"
#include "parallel.h"
#include "quantized.h"

int32_t xvk_quantize(const xvk_compute *c, xvk_dtype dtype, void *w, const float *x, const float *importance,
                     int64_t rows, int64_t cols) {
  int32_t faults = 0;
  const xvk_quantize_work work = {w, x, importance, rows, cols, &faults};
  xvk_range *const kernel = dtype == XVK_INT8 ? c->table->quantize_int8 : c->table->quantize_int4;
  xvk_split(c->threads, kernel, &work, xvk_panels(rows), 1);
  return faults == 0;
}

// ---- GPTQ ----

// Rows that a thread updates together.
enum { UPDATE_ROWS = 64, GRAM_ROWS = 256 };

typedef struct {
  float *y;
  const float *x;
  const int32_t *order;
  int64_t cols;
} order_work;

// Copies rows, their groups in another order.
static void put_in_order(const void *work, int64_t begin, int64_t end) {
  const order_work *const o = work;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t col = 0; col < o->cols; col += XVK_GROUP) {
      const int64_t count = o->cols - col < XVK_GROUP ? o->cols - col : XVK_GROUP;
      const float *const source = o->x + row * o->cols + (int64_t)o->order[col / XVK_GROUP] * XVK_GROUP;
      memcpy(o->y + row * o->cols + col, source, (size_t)count * sizeof *source);
    }
  }
}

// Takes the errors of a block off the columns behind it. Unit: UPDATE_ROWS rows.
static void update(const void *work, int64_t begin, int64_t end) {
  const xvk_gptq_work *const f = work;
  const int64_t next = f->col + f->width, rest = f->cols - next;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t row = unit * UPDATE_ROWS, rows = f->rows - row < UPDATE_ROWS ? f->rows - row : UPDATE_ROWS;
    xvk_blas_subtract(f->x + row * f->cols + next, f->cols, f->errors + row * XVK_GPTQ_BLOCK, XVK_GPTQ_BLOCK,
                      f->u + f->col * f->cols + next, f->cols, rows, rest, f->width);
  }
}

int32_t xvk_gptq(const xvk_compute *c, xvk_dtype dtype, void *w, const float *x, const float *u, const int32_t *order,
                 float *room, int64_t rows, int64_t cols) {
  int32_t faults = 0;
  xvk_gptq_work g = {w, room, room + rows * cols, u, order, rows, cols, 0, 0, &faults};
  xvk_range *const kernel = dtype == XVK_INT8 ? c->table->gptq_int8 : c->table->gptq_int4;
  xvk_split(c->threads, put_in_order, &(order_work){room, x, order, cols}, rows, UPDATE_ROWS);
  xvk_blas_keep_serial();
  for (g.col = 0; g.col < cols; g.col += XVK_GPTQ_BLOCK) {
    g.width = cols - g.col < XVK_GPTQ_BLOCK ? cols - g.col : XVK_GPTQ_BLOCK;
    xvk_split(c->threads, kernel, &g, xvk_panels(rows), 1);
    if (g.col + g.width < cols) xvk_split(c->threads, update, &g, (rows + UPDATE_ROWS - 1) / UPDATE_ROWS, 1);
  }
  return faults == 0;
}

typedef struct {
  float *h;
  const float *x;
  int64_t tokens, cols;
} gram_work;

// Unit: GRAM_ROWS rows of h, from the diagonal on. Long and short ones take turns, so that any run costs about the
// same.
static void gram(const void *work, int64_t begin, int64_t end) {
  const gram_work *const g = work;
  const int64_t units = (g->cols + GRAM_ROWS - 1) / GRAM_ROWS;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t unit = i % 2 == 0 ? i / 2 : units - 1 - i / 2, row = unit * GRAM_ROWS;
    const int64_t rows = g->cols - row < GRAM_ROWS ? g->cols - row : GRAM_ROWS;
    xvk_blas_gram(g->h + row * g->cols + row, g->cols, g->x + row, g->x + row, g->cols, g->tokens, rows, g->cols - row);
  }
}

void xvk_gram(const xvk_compute *c, float *h, const float *x, int64_t tokens, int64_t cols) {
  const gram_work work = {h, x, tokens, cols};
  xvk_blas_keep_serial();
  xvk_split(c->threads, gram, &work, (cols + GRAM_ROWS - 1) / GRAM_ROWS, 1);
}
