// blas.c -- OpenBLAS, of whichever flavour the user's machine links: one thread a call, always.
#include "blas.h"
#include "kernels.h"
#include <pthread.h>

// Declared here because cblas.h moves between distributions; these are stable since OpenBLAS 0.2.
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc);
char *openblas_get_config(void);
int openblas_get_parallel(void);
int openblas_get_num_threads(void);
void openblas_set_num_threads(int threads);

enum { PARALLEL_SERIAL = 0, PARALLEL_PTHREAD = 1, PARALLEL_OPENMP = 2 };

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static const char *description;

static void prepare(void) {
  if (openblas_get_parallel() == PARALLEL_PTHREAD) openblas_set_num_threads(1);
  description = openblas_get_config(); // rewrites one static buffer at each call, so it is asked only once
}

const char *xvk_blas_prepare(void) {
  pthread_once(&prepared, prepare);
  return description;
}

void xvk_blas_keep_serial(void) {
  xvk_blas_prepare();
  // The OpenMP flavour goes by the OpenMP setting of the thread that calls, so each such thread has to be told.
  if (openblas_get_parallel() == PARALLEL_OPENMP && openblas_get_num_threads() != 1) openblas_set_num_threads(1);
}

void xvk_blas_gemm(float *y, int64_t y_stride, const float *x, int64_t x_stride, const float *w, int64_t w_stride,
                   int64_t tokens, int64_t rows, int64_t cols, int accumulate) {
  cblas_sgemm(ROW_MAJOR, NO_TRANS, TRANS, (int)tokens, (int)rows, (int)cols, 1, x, (int)x_stride, w, (int)w_stride,
              accumulate ? 1 : 0, y, (int)y_stride);
}
