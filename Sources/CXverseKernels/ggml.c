// ggml.c -- drivers of the conversion from and to ggml's block types.
#include "ggml.h"
#include "parallel.h"

void xvk_ggml_widen(const xvk_compute *c, int32_t type, float *y, const void *w, int64_t rows, int64_t cols) {
  const xvk_ggml_widen_work work = {y, w, cols, type};
  xvk_split(xvk_worthwhile_threads(c, rows * cols), xvk_ggml_widen_rows, &work, rows, 1);
}

static int32_t split(const xvk_compute *c, xvk_range *kernel, xvk_ggml_split_work *s, int64_t rows) {
  int32_t faults = 0;
  s->faults = &faults;
  xvk_split(xvk_worthwhile_threads(c, rows * s->cols), kernel, s, rows, 1);
  return faults == 0;
}

int32_t xvk_ggml_split_int8(const xvk_compute *c, int32_t type, int8_t *q, uint16_t *scales, const void *w,
                            int64_t rows, int64_t cols) {
  return split(c, xvk_ggml_split_int8_rows,
               &(xvk_ggml_split_work){(unsigned char *)q, scales, NULL, w, cols, type, NULL}, rows);
}

int32_t xvk_ggml_split_int4(const xvk_compute *c, int32_t type, uint8_t *codes, uint16_t *scales, uint8_t *zeros,
                            const void *w, int64_t rows, int64_t cols) {
  return split(c, xvk_ggml_split_int4_rows, &(xvk_ggml_split_work){codes, scales, zeros, w, cols, type, NULL}, rows);
}

int32_t xvk_ggml_narrow(const xvk_compute *c, int32_t type, void *w, const float *x, int64_t rows, int64_t cols) {
  int32_t faults = 0;
  const xvk_ggml_narrow_work work = {w, x, cols, type, &faults};
  xvk_split(xvk_worthwhile_threads(c, rows * cols), xvk_ggml_narrow_rows, &work, rows, 1);
  return faults == 0;
}
