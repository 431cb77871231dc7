// blas.c -- OpenBLAS, of whichever flavour the user's machine links: one thread a call, always.
#include "blas.h"
#include <float.h>
#include <pthread.h>
#include <string.h>
#include "kernels.h"

// Declared here because cblas.h moves between distributions; these are stable since OpenBLAS 0.2.
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc);
void spotrf_(const char *uplo, const int *n, float *a, const int *lda, int *info);
void spotri_(const char *uplo, const int *n, float *a, const int *lda, int *info);
char *openblas_get_config(void);
int openblas_get_parallel(void);
int openblas_get_num_threads(void);
void openblas_set_num_threads(int threads);

enum { PARALLEL_SERIAL = 0, PARALLEL_PTHREAD = 1, PARALLEL_OPENMP = 2 };

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static const char *description;

static void prepare(void) {
  if (openblas_get_parallel() == PARALLEL_PTHREAD) openblas_set_num_threads(1);
  description = openblas_get_config();  // rewrites one static buffer at each call, so it is asked only once
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

void xvk_blas_subtract(float *y, int64_t y_stride, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                       int64_t m, int64_t n, int64_t k) {
  cblas_sgemm(ROW_MAJOR, NO_TRANS, NO_TRANS, (int)m, (int)n, (int)k, -1, a, (int)a_stride, b, (int)b_stride, 1, y,
              (int)y_stride);
}

void xvk_blas_gram(float *h, int64_t h_stride, const float *a, const float *b, int64_t x_stride, int64_t tokens,
                   int64_t rows, int64_t cols) {
  cblas_sgemm(ROW_MAJOR, TRANS, NO_TRANS, (int)rows, (int)cols, (int)tokens, 1, a, (int)x_stride, b, (int)x_stride, 1,
              h, (int)h_stride);
}

// OpenBLAS factors NaN and infinity without a word: they end up in the diagonal.
static int is_factor(const float *u, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    if (!(u[i * n + i] > 0 && u[i * n + i] <= FLT_MAX)) return 0;
  return 1;
}

static int64_t place_of(const int32_t *order, int64_t i) {
  return (int64_t)order[i / XVK_GROUP] * XVK_GROUP + i % XVK_GROUP;
}

// LAPACK's columns are our rows: its lower triangle is our upper one. H = L L^T, then its inverse, then again L L^T,
// whose L, read by rows, is U.
int32_t xvk_factor_inverse(float *h, float *work, const int32_t *order, int64_t n, float damping) {
  const int size = (int)n;
  int failed = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t row = place_of(order, i);
    for (int64_t j = i; j < n; ++j) {
      const int64_t col = place_of(order, j);
      work[i * n + j] = row < col ? h[row * n + col] : h[col * n + row];
    }
    work[i * n + i] += damping;
  }
  xvk_blas_keep_serial();
  spotrf_("L", &size, work, &size, &failed);
  if (!failed) spotri_("L", &size, work, &size, &failed);
  if (!failed) spotrf_("L", &size, work, &size, &failed);
  if (failed || !is_factor(work, n)) return 0;
  for (int64_t i = 0; i < n; ++i) memcpy(h + i * n + i, work + i * n + i, (size_t)(n - i) * sizeof *h);
  return 1;
}
