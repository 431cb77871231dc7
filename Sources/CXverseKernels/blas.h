// blas.h -- what OpenBLAS does for quantization with a calibration text; nothing else here needs it.
#ifndef XVK_BLAS_H
#define XVK_BLAS_H
#include <stdint.h>

// Makes sure that OpenBLAS is there, as far as it can be, and that its calls stay on their thread: of this thread and of
// those that it forks.
void xvk_blas_keep_serial(void);

// y [m, n] -= a [m, k] b [k, n], rows of stride y_stride, a_stride, b_stride.
void xvk_blas_subtract(float *y, int64_t y_stride, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                       int64_t m, int64_t n, int64_t k);

// h [rows, cols] += a^T b, a [tokens, rows], b [tokens, cols].
void xvk_blas_gram(float *h, int64_t h_stride, const float *a, const float *b, int64_t x_stride, int64_t tokens,
                   int64_t rows, int64_t cols);

#endif
