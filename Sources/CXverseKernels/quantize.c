// quantize.c -- drivers of the quantization of weights.
#include "blas.h"
#include "parallel.h"
#include "quantized.h"

static int32_t quantize(const xvk_compute *c, xvk_range *kernel, xvk_quantize_work *q) {
  int32_t faults = 0;
  q->faults = &faults;
  xvk_split(c->threads, kernel, q, xvk_panels(q->rows), 1);
  return faults == 0;
}

int32_t xvk_quantize_int8_f32(const xvk_compute *c, void *w, const float *x, const float *importance, int64_t rows,
                              int64_t cols) {
  return quantize(c, c->table->quantize_int8, &(xvk_quantize_work){w, x, importance, rows, cols, NULL});
}

int32_t xvk_quantize_int4_f32(const xvk_compute *c, void *w, const float *x, const float *importance, int64_t rows,
                              int64_t cols) {
  return quantize(c, c->table->quantize_int4, &(xvk_quantize_work){w, x, importance, rows, cols, NULL});
}

// ---- with error feedback ----

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

// Takes the errors of a part off the columns behind it. Unit: UPDATE_ROWS rows.
static void update(const void *work, int64_t begin, int64_t end) {
  const xvk_feedback_work *const f = work;
  const int64_t next = f->col + f->width, rest = f->cols - next;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t row = unit * UPDATE_ROWS, rows = f->rows - row < UPDATE_ROWS ? f->rows - row : UPDATE_ROWS;
    xvk_blas_subtract(f->x + row * f->cols + next, f->cols, f->errors + row * XVK_FEEDBACK, XVK_FEEDBACK,
                      f->u + f->col * f->cols + next, f->cols, rows, rest, f->width);
  }
}

static int32_t quantize_with_feedback(const xvk_compute *c, xvk_range *kernel, void *w, const float *x, const float *u,
                                      const int32_t *order, float *room, int64_t rows, int64_t cols) {
  int32_t faults = 0;
  xvk_feedback_work f = {w, room, room + rows * cols, u, order, rows, cols, 0, 0, &faults};
  xvk_split(c->threads, put_in_order, &(order_work){room, x, order, cols}, rows, UPDATE_ROWS);
  xvk_blas_keep_serial();
  for (f.col = 0; f.col < cols; f.col += XVK_FEEDBACK) {
    f.width = cols - f.col < XVK_FEEDBACK ? cols - f.col : XVK_FEEDBACK;
    xvk_split(c->threads, kernel, &f, xvk_panels(rows), 1);
    if (f.col + f.width < cols) xvk_split(c->threads, update, &f, (rows + UPDATE_ROWS - 1) / UPDATE_ROWS, 1);
  }
  return faults == 0;
}

int32_t xvk_quantize_feedback_int8_f32(const xvk_compute *c, void *w, const float *x, const float *u, const int32_t *order,
                                       float *room, int64_t rows, int64_t cols) {
  return quantize_with_feedback(c, c->table->feedback_int8, w, x, u, order, room, rows, cols);
}

int32_t xvk_quantize_feedback_int4_f32(const xvk_compute *c, void *w, const float *x, const float *u, const int32_t *order,
                                       float *room, int64_t rows, int64_t cols) {
  return quantize_with_feedback(c, c->table->feedback_int4, w, x, u, order, room, rows, cols);
}

typedef struct {
  float *h;
  const float *x;
  int64_t tokens, cols;
} gram_work;

// Unit: GRAM_ROWS rows of h, from the diagonal on. Long and short ones take turns, so that any run costs about the same.
static void gram(const void *work, int64_t begin, int64_t end) {
  const gram_work *const g = work;
  const int64_t units = (g->cols + GRAM_ROWS - 1) / GRAM_ROWS;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t unit = i % 2 == 0 ? i / 2 : units - 1 - i / 2, row = unit * GRAM_ROWS;
    const int64_t rows = g->cols - row < GRAM_ROWS ? g->cols - row : GRAM_ROWS;
    xvk_blas_gram(g->h + row * g->cols + row, g->cols, g->x + row, g->x + row, g->cols, g->tokens, rows, g->cols - row);
  }
}

void xvk_gram_f32(const xvk_compute *c, float *h, const float *x, int64_t tokens, int64_t cols) {
  const gram_work work = {h, x, tokens, cols};
  xvk_blas_keep_serial();
  xvk_split(c->threads, gram, &work, (cols + GRAM_ROWS - 1) / GRAM_ROWS, 1);
}
