// blas.h -- the one BLAS call that the drivers make.
#ifndef XVK_BLAS_H
#define XVK_BLAS_H
#include <stdint.h>

// y[t, r] = sum over c of x[t, c] * w[r, c], plus the old y[t, r] when `accumulate`; on the calling thread.
// x [tokens, x_stride], w [rows, w_stride], y [tokens, y_stride]; all dimensions below 2^31.
void xvk_blas_gemm(float *y, int64_t y_stride, const float *x, int64_t x_stride, const float *w, int64_t w_stride,
                   int64_t tokens, int64_t rows, int64_t cols, int accumulate);

// Makes sure that OpenBLAS calls of this thread, and of threads it forks, stay on their thread.
void xvk_blas_keep_serial(void);

#endif
