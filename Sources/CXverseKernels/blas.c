// blas.c -- OpenBLAS, of whichever flavour is installed: loaded when it is needed, one thread a call, always.
//
// Linked, it would come into every process that holds the library: with threads, buffers and handlers at exit, and with a
// signal to the process when it cannot have them.
#define _GNU_SOURCE
#include "blas.h"
#include <dlfcn.h>
#include <errno.h>
#include <float.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kernels.h"
#include "parallel.h"

// cblas.h moves between distributions; these are stable since OpenBLAS 0.2.
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };
enum { PARALLEL_SERIAL = 0, PARALLEL_PTHREAD = 1, PARALLEL_OPENMP = 2 };

static struct {
  void (*sgemm)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                const float *b, int ldb, float beta, float *c, int ldc);
  void (*potrf)(const char *uplo, const int *n, float *a, const int *lda, int *info);
  void (*potri)(const char *uplo, const int *n, float *a, const int *lda, int *info);
  int (*get_parallel)(void);
  int (*get_num_threads)(void);
  void (*set_num_threads)(int threads);
} blas;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile int32_t is_loaded;

static int look_up(void *library, const char *name, void **function) {
  *function = dlsym(library, name);
  return *function != NULL;
}

// The first is a copy for this library alone, which the Python wheel has beside it; a host that uses the system's keeps
// its number of threads then.
static const char *const names[] = {"libxverse-openblas.so.0", "libopenblas.so.0", "libopenblas.so"};

static int32_t open_library(void) {
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && library == NULL; ++i) {
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  }
  if (library == NULL) return ENOENT;
  if (!look_up(library, "cblas_sgemm", (void **)&blas.sgemm) || !look_up(library, "spotrf_", (void **)&blas.potrf) ||
      !look_up(library, "spotri_", (void **)&blas.potri) ||
      !look_up(library, "openblas_get_parallel", (void **)&blas.get_parallel) ||
      !look_up(library, "openblas_get_num_threads", (void **)&blas.get_num_threads) ||
      !look_up(library, "openblas_set_num_threads", (void **)&blas.set_num_threads)) {
    return ENOENT;
  }
  if (blas.get_parallel() == PARALLEL_PTHREAD) blas.set_num_threads(1);
  return 0;
}

// What OpenBLAS takes as soon as it is loaded and by each thread that calls it, without bearing a refusal: a thread for
// each processor, and buffers of 128 MiB at most.
static int32_t room_error(int32_t threads) {
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  const int32_t own = processors < 1 ? 1 : processors < 1024 ? (int32_t)processors : 1024;
  const size_t size = (size_t)(own + threads + 1) << 27;
  void *const room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return ENOMEM;
  munmap(room, size);
  return xvk_thread_error(own);
}

int32_t xvk_blas_load(int32_t threads) {
  pthread_mutex_lock(&mutex);
  int32_t error = 0;
  if (!is_loaded) {
    // Its threads start here.
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    error = room_error(threads);
    if (!error) error = open_library();
    is_loaded = !error;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  pthread_mutex_unlock(&mutex);
  return error;
}

void xvk_blas_keep_serial(void) {
  if (!is_loaded && xvk_blas_load(1) != 0) return;
  // The OpenMP flavour goes by the OpenMP setting of the thread that calls, so each such thread has to be told.
  if (blas.get_parallel() == PARALLEL_OPENMP && blas.get_num_threads() != 1) blas.set_num_threads(1);
}

void xvk_blas_subtract(float *y, int64_t y_stride, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                       int64_t m, int64_t n, int64_t k) {
  blas.sgemm(ROW_MAJOR, NO_TRANS, NO_TRANS, (int)m, (int)n, (int)k, -1, a, (int)a_stride, b, (int)b_stride, 1, y,
             (int)y_stride);
}

void xvk_blas_gram(float *h, int64_t h_stride, const float *a, const float *b, int64_t x_stride, int64_t tokens,
                   int64_t rows, int64_t cols) {
  blas.sgemm(ROW_MAJOR, TRANS, NO_TRANS, (int)rows, (int)cols, (int)tokens, 1, a, (int)x_stride, b, (int)x_stride, 1, h,
             (int)h_stride);
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
  blas.potrf("L", &size, work, &size, &failed);
  if (!failed) blas.potri("L", &size, work, &size, &failed);
  if (!failed) blas.potrf("L", &size, work, &size, &failed);
  if (failed || !is_factor(work, n)) return 0;
  for (int64_t i = 0; i < n; ++i) memcpy(h + i * n + i, work + i * n + i, (size_t)(n - i) * sizeof *h);
  return 1;
}
