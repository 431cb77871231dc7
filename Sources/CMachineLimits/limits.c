// limits.c -- the probes of memory and of OpenBLAS; peaks.c has those of the multipliers.

#define _GNU_SOURCE
#include "machine_limits.h"
#include "medians.h"
#include "threads.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// As in OpenBLAS's cblas.h; 101, 111, 112: row-major, plain, transposed.
typedef void sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                   const float *b, int ldb, float beta, float *c, int ldc);
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

enum { LINE = 64, HUGE_PAGE = 2 << 20, STREAMS = 4 };

// Sums `length` bytes at each of four addresses `distance` apart. length: a multiple of LINE.
static uint64_t read_portable(const unsigned char *start, size_t distance, size_t length) {
  uint64_t sum[STREAMS] = {0};
  for (size_t i = 0; i < length; i += LINE) {
    for (int s = 0; s < STREAMS; s++) {
      const uint64_t *line = (const uint64_t *)(start + (size_t)s * distance + i);
      for (int j = 0; j < LINE / 8; j++) sum[s] += line[j];
    }
  }
  return sum[0] + sum[1] + sum[2] + sum[3];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t read_avx2(const unsigned char *start, size_t distance, size_t length) {
  __m256i sum[STREAMS] = {0};
  for (size_t i = 0; i < length; i += LINE) {
    for (int s = 0; s < STREAMS; s++) {
      const __m256i *line = (const __m256i *)(start + (size_t)s * distance + i);
      sum[s] = _mm256_add_epi64(sum[s], _mm256_add_epi64(_mm256_load_si256(line), _mm256_load_si256(line + 1)));
    }
  }
  uint64_t parts[4];
  _mm256_storeu_si256((__m256i *)parts,
                      _mm256_add_epi64(_mm256_add_epi64(sum[0], sum[1]), _mm256_add_epi64(sum[2], sum[3])));
  return parts[0] + parts[1] + parts[2] + parts[3];
}
#endif

typedef uint64_t (*read_fn)(const unsigned char *start, size_t distance, size_t length);

static read_fn fastest_read(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return read_avx2;
#endif
  return read_portable;
}

// The sum goes here, so that no pass can be optimized away.
static volatile uint64_t sink;

typedef struct {
  unsigned char *buffer;
  size_t share, length;
  read_fn read;
} read_work;

// Untouched pages would all be the kernel's one page of zeros. Each thread touches what it will read (NUMA).
static void touch_share(const void *context, int thread) {
  const read_work *const w = context;
  memset(w->buffer + (size_t)thread * w->share, thread + 1, w->share);
}

static void read_share(const void *context, int thread) {
  const read_work *const w = context;
  sink = w->read(w->buffer + (size_t)thread * w->share, w->length, w->length);
}

double ml_read_bandwidth(size_t bytes, int threads, int repeats) {
  threads = clamped(threads, 1, 4096);
  repeats = clamped(repeats, 1, MAX_REPEATS);
  const size_t length = bytes / (size_t)threads / STREAMS / LINE * LINE;
  const size_t share = STREAMS * length;
  void *memory = NULL;
  if (length == 0 || posix_memalign(&memory, HUGE_PAGE, share * (size_t)threads) != 0) return 0;
  // Advice only: without huge pages the figure is a little lower.
  madvise(memory, share * (size_t)threads, MADV_HUGEPAGE);
  const read_work work = {memory, share, length, fastest_read()};
  on_threads(threads, touch_share, &work);

  double rates[MAX_REPEATS];
  for (int r = 0; r < repeats; r++) {
    const double start = seconds();
    on_threads(threads, read_share, &work);
    rates[r] = (double)(share * (size_t)threads) / (seconds() - start);
  }
  free(memory);
  return median(rates, repeats);
}

enum { M = 512, N = 4096, K = 4096 };

typedef struct {
  sgemm *multiply;
  const float *a, *b;
  float *c;
  int threads;
} sgemm_work;

static void multiply_share(const void *context, int thread) {
  const sgemm_work *const w = context;
  const int first = (int)((long)N * thread / w->threads), end = (int)((long)N * (thread + 1) / w->threads);
  w->multiply(ROW_MAJOR, NO_TRANS, TRANS, M, end - first, K, 1, w->a, K, w->b + (size_t)first * K, K, 0, w->c + first,
              N);
}

double ml_sgemm_peak(int threads, int repeats) {
  threads = clamped(threads, 1, N);
  repeats = clamped(repeats, 1, MAX_REPEATS);
  const size_t floats = (size_t)M * K + (size_t)N * K + (size_t)M * N;
  void *memory = NULL, *const library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return 0;
  sgemm *const multiply = (sgemm *)dlsym(library, "cblas_sgemm");
  void (*const set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
  if (multiply == NULL || set_threads == NULL || posix_memalign(&memory, LINE, floats * sizeof(float)) != 0) return 0;
  float *const a = memory, *const b = a + (size_t)M * K, *const c = b + (size_t)N * K;
  // Any normal numbers do; zeros and denormals might run at another speed.
  for (size_t i = 0; i < floats; i++) a[i] = 0.5f + (float)(i % 251) / 251.0f;
  set_threads(1);
  const sgemm_work work = {multiply, a, b, c, threads};

  double rates[MAX_REPEATS];
  // One run more: the first lets OpenBLAS allocate its work memory.
  for (int r = -1; r < repeats; r++) {
    const double start = seconds();
    on_threads(threads, multiply_share, &work);
    if (r >= 0) rates[r] = (double)(2L * M * N * K) / (seconds() - start);
  }
  free(memory);
  return median(rates, repeats);
}
