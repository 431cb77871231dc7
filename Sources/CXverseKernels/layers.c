// layers.c -- drivers of the pieces of a layer between its matrix products, and of the look-up of rows.
#include "parallel.h"
#include "quantized.h"

// What an element of an operation takes, in multiply-adds of xvk_worthwhile_threads.
enum { ROWS_COST = 2, RMSNORM_COST = 4, ROPE_COST = 8, SWIGLU_COST = 16, ADD_COST = 4 };

// Elements that one thread adds together at least: a page.
enum { ADD_GRAIN = 1024 };

typedef struct {
  float *y;
  const xvk_weights *w;
  const int32_t *ids;
  xvk_widen *widen;  // NULL for quantized weights
} rows_work;

static void widen_rows(const void *work, int64_t begin, int64_t end) {
  const rows_work *const r = work;
  const unsigned char *const data = r->w->data;
  for (int64_t t = begin; t < end; ++t) {
    const int64_t row = r->ids ? r->ids[t] : t;
    float *const y = r->y + t * r->w->cols;
    if (r->widen) {
      r->widen(y, data + row * r->w->stride, r->w->cols);
    } else {
      xvk_dequantize_row(r->w->dtype, y, data + row / XVK_PANEL * r->w->stride, row % XVK_PANEL, r->w->cols);
    }
  }
}

void xvk_rows(const xvk_compute *c, float *y, const xvk_weights *w, const int32_t *ids, int64_t tokens) {
  const rows_work work = {y, w, ids, w->dtype < XVK_FLOAT_DTYPES ? c->table->widen[w->dtype] : NULL};
  xvk_split(xvk_worthwhile_threads(c, ROWS_COST * tokens * w->cols), widen_rows, &work, tokens, 1);
}

void xvk_rmsnorm(const xvk_compute *c, float *y, const float *x, const float *weight, int64_t tokens, int64_t size,
                 float epsilon) {
  const xvk_rmsnorm_work work = {y, x, weight, size, epsilon};
  xvk_split(xvk_worthwhile_threads(c, RMSNORM_COST * tokens * size), c->table->rmsnorm, &work, tokens, 1);
}

void xvk_rope(const xvk_compute *c, float *x, const float *cos, const float *sin, int64_t tokens, int64_t heads,
              int64_t head_size) {
  const xvk_rope_work work = {x, cos, sin, heads, head_size};
  xvk_split(xvk_worthwhile_threads(c, ROPE_COST * tokens * heads * head_size), c->table->rope, &work, tokens, 1);
}

void xvk_swiglu(const xvk_compute *c, float *y, const float *gate_up, int64_t tokens, int64_t size) {
  const xvk_swiglu_work work = {y, gate_up, size};
  xvk_split(xvk_worthwhile_threads(c, SWIGLU_COST * tokens * size), c->table->swiglu, &work, tokens, 1);
}

void xvk_add(const xvk_compute *c, float *x, const float *y, int64_t count) {
  const xvk_add_work work = {x, y};
  xvk_split(xvk_worthwhile_threads(c, ADD_COST * count), c->table->add, &work, count, ADD_GRAIN);
}

double xvk_logsumexp(const xvk_compute *c, const float *x, int64_t count) { return c->table->logsumexp(x, count); }
