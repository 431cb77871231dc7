// bench_kernels.c -- how near the kernels come to the limits of the machine, each limit measured in the same run.
//
//   GEMV       GB/s of weights read          beside a bare read of the same memory
//   GEMM       GFLOP/s with 512 tokens       beside single-thread sgemm on slices, M=512 N=4096 K=4096
//   attention  GFLOP/s with 512 tokens, and GB/s of cache read by one token at depth 4096
//
// Build, from the top of the repository, with the compiler of the Swift toolchain (another clang does as well):
//   clang -O3 -Xclang -fopenmp -ISources/CXverseKernels/include Benchmarks/kernels/bench_kernels.c
//     Sources/CXverseKernels/*.c Sources/CXverseKernels/*/*.c -lopenblas -l:libomp.so.5 -lm -o bench_kernels
// Run: ./bench_kernels [threads [repeats [gemv | small | gemm | attention | layers]]]
//
// Each figure is the median of the repeats; limit and kernel take turns, so both see the same clock and neighbours.
#define _GNU_SOURCE
#include "xverse_kernels.h"
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc);

enum { MAX_REPEATS = 101 };
static const size_t memory_size = 1u << 30; // beyond every cache
static unsigned char *memory;
static xvk_compute compute;
static int repeats = 11;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, (size_t)repeats, sizeof *values, by_value);
  return values[repeats / 2];
}

static void *allocate(size_t bytes) {
  void *place = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (place == NULL) exit(1);
  return place;
}

static float *random_floats(size_t count) {
  float *values = allocate(count * sizeof *values);
  uint64_t state = 1;
  for (size_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    values[i] = (float)(int32_t)(state >> 32) * 0x1p-31f;
  }
  return values;
}

// ---- reading memory ----

static volatile uint64_t sink;

__attribute__((target("avx2"))) static uint64_t read_streams(const unsigned char *p, size_t bytes) {
  const size_t quarter = bytes / 4 / 64 * 64;
  __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
  for (size_t i = 0; i < quarter; i += 64) {
    for (size_t s = 0; s < 4; ++s) {
      const __m256i a = _mm256_loadu_si256((const void *)(p + s * quarter + i));
      const __m256i b = _mm256_loadu_si256((const void *)(p + s * quarter + i + 32));
      sums[s] = _mm256_add_epi64(sums[s], _mm256_add_epi64(a, b));
    }
  }
  const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  return (uint64_t)_mm256_extract_epi64(sum, 0) + (uint64_t)_mm256_extract_epi64(sum, 3);
}

static double read_seconds(size_t bytes) {
  const double start = now();
  const int parts = compute.threads;
#pragma omp parallel for schedule(static) num_threads(parts)
  for (int part = 0; part < parts; ++part) {
    const size_t share = bytes / (size_t)parts;
    sink = read_streams(memory + share * (size_t)part, share);
  }
  return now() - start;
}

typedef void gemm_kernel(const xvk_compute *c, float *y, int64_t y_stride, const float *x, const void *w,
                         int64_t tokens, int64_t rows, int64_t cols, float *scratch);

static const struct {
  const char *name;
  gemm_kernel *gemm;
  size_t size;
} kinds[] = {{"f32", xvk_gemm_f32_f32, 4}, {"f16", xvk_gemm_f32_f16, 2}, {"bf16", xvk_gemm_f32_bf16, 2}};

static const int64_t shapes[][2] = {{2048, 2048}, {5632, 2048}, {2048, 5632}, {11008, 4096}};
enum { KINDS = 3, SHAPES = 4, LARGEST_ROWS = 11008, LARGEST_COLS = 5632 };

// One pass over the whole memory as a row of matrices of this shape.
static double gemv_seconds(int kind, int64_t tokens, const int64_t *shape, float *y, const float *x, size_t *bytes) {
  const size_t matrix = (size_t)(shape[0] * shape[1]) * kinds[kind].size;
  const double start = now();
  for (*bytes = 0; *bytes + matrix <= memory_size; *bytes += matrix)
    kinds[kind].gemm(&compute, y, shape[0], x, memory + *bytes, tokens, shape[0], shape[1], NULL);
  return now() - start;
}

static void bench_gemv(void) {
  float *x = random_floats(LARGEST_COLS), *y = allocate(LARGEST_ROWS * sizeof(float));
  for (int kind = 0; kind < KINDS; ++kind) {
    for (int s = 0; s < SHAPES; ++s) {
      double reads[MAX_REPEATS], speeds[MAX_REPEATS], ratios[MAX_REPEATS];
      for (int i = 0; i < repeats; ++i) {
        size_t bytes;
        reads[i] = 1e-9 * (double)memory_size / read_seconds(memory_size);
        const double seconds = gemv_seconds(kind, 1, shapes[s], y, x, &bytes);
        speeds[i] = 1e-9 * (double)bytes / seconds;
        ratios[i] = speeds[i] / reads[i];
      }
      printf("gemv %-4s %5ld x %-5ld %6.2f GB/s, read %6.2f GB/s, ratio %.3f\n", kinds[kind].name, (long)shapes[s][0],
             (long)shapes[s][1], median(speeds), median(reads), median(ratios));
    }
  }
  free(x);
  free(y);
}

// ---- products with several tokens ----

static double sgemm_gflops(float *y, const float *x, const float *w) {
  const int m = 512, n = 4096, k = 4096, parts = compute.threads;
  const double start = now();
#pragma omp parallel for schedule(static) num_threads(parts)
  for (int part = 0; part < parts; ++part) {
    const int row = n / parts * part, rows = part + 1 == parts ? n - row : n / parts;
    cblas_sgemm(101, 111, 112, m, rows, k, 1, x, k, w + (size_t)row * k, k, 0, y + row, n);
  }
  return 2e-9 * m * n * k / (now() - start);
}

static void bench_gemm(void) {
  const int64_t tokens = 512;
  float *x = random_floats(512 * LARGEST_COLS), *y = allocate((size_t)tokens * LARGEST_ROWS * sizeof(float));
  float *scratch = allocate(xvk_gemm_scratch(&compute, tokens, LARGEST_COLS) * sizeof(float));
  for (int kind = 0; kind < KINDS; ++kind) {
    for (int s = 0; s < SHAPES; ++s) {
      double limits[MAX_REPEATS], speeds[MAX_REPEATS], ratios[MAX_REPEATS];
      const int64_t rows = shapes[s][0], cols = shapes[s][1];
      for (int i = 0; i < repeats; ++i) {
        limits[i] = sgemm_gflops(y, x, (const float *)(const void *)memory);
        const double start = now();
        kinds[kind].gemm(&compute, y, rows, x, memory, tokens, rows, cols, scratch);
        speeds[i] = 2e-9 * (double)(tokens * rows * cols) / (now() - start);
        ratios[i] = speeds[i] / limits[i];
      }
      printf("gemm %-4s %ld x %5ld x %-5ld %6.1f GFLOP/s, sgemm %6.1f GFLOP/s, ratio %.3f\n", kinds[kind].name,
             (long)tokens, (long)rows, (long)cols, median(speeds), median(limits), median(ratios));
    }
  }
  free(x);
  free(y);
  free(scratch);
}

// Where the own kernel and BLAS meet.
static void bench_small_gemm(void) {
  const int64_t shape[2] = {2048, 2048}, counts[] = {1, 2, 3, 4, 6, 8, 12, 15, 16, 24, 32, 48, 64, 128};
  float *x = random_floats(128 * 2048), *y = allocate(128 * 2048 * sizeof(float));
  float *scratch = allocate(xvk_gemm_scratch(&compute, 128, 2048) * sizeof(float));
  for (size_t n = 0; n < sizeof counts / sizeof *counts; ++n) {
    double speeds[MAX_REPEATS];
    const size_t matrix = (size_t)(shape[0] * shape[1]) * 2;
    for (int i = 0; i < repeats; ++i) {
      const double start = now();
      for (size_t m = 0; m < 8; ++m)
        xvk_gemm_f32_bf16(&compute, y, shape[0], x, memory + m * matrix, counts[n], shape[0], shape[1], scratch);
      speeds[i] = 2e-9 * 8 * (double)(counts[n] * shape[0] * shape[1]) / (now() - start);
    }
    printf("gemm bf16 %3ld x 2048 x 2048 %6.1f GFLOP/s\n", (long)counts[n], median(speeds));
  }
  free(x);
  free(y);
  free(scratch);
}

// ---- attention ----

typedef void attention_kernel(const xvk_compute *c, float *out, const float *q, const void *const *key_blocks,
                              const void *const *value_blocks, int64_t position, int64_t tokens, int64_t heads,
                              int64_t kv_heads, int64_t head_size, float scale);
typedef void store_kernel(const xvk_compute *c, void *const *key_blocks, void *const *value_blocks, const float *k,
                          const float *v, int64_t position, int64_t tokens, int64_t kv_heads, int64_t head_size);

static const struct {
  const char *name;
  attention_kernel *attend;
  store_kernel *store;
  size_t size;
} caches[] = {{"f32", xvk_attention_f32_f32, xvk_kv_store_f32, 4}, {"f16", xvk_attention_f32_f16, xvk_kv_store_f16, 2}};

enum { HEADS = 32, DEPTH = 4096, BLOCKS = DEPTH / XVK_KV_BLOCK, LAYERS = 8, MAX_HEAD_SIZE = 128 };

static void bench_attention_shape(int cache, int64_t kv_heads, int64_t size) {
  const size_t block = (size_t)(kv_heads * size) * XVK_KV_BLOCK * caches[cache].size;
  void *keys[LAYERS][BLOCKS], *values[LAYERS][BLOCKS];
  float *q = random_floats(512 * HEADS * MAX_HEAD_SIZE), *out = allocate(512 * HEADS * MAX_HEAD_SIZE * sizeof(float));
  for (int layer = 0; layer < LAYERS; ++layer) {
    for (int b = 0; b < BLOCKS; ++b) {
      keys[layer][b] = memory + (size_t)((layer * BLOCKS + b) * 2) * block;
      values[layer][b] = (unsigned char *)keys[layer][b] + block;
    }
    for (int p = 0; p < DEPTH; p += 512)
      caches[cache].store(&compute, keys[layer], values[layer], q, q + 1, p, 511, kv_heads, size);
  }

  double prefill[MAX_REPEATS], stores[MAX_REPEATS], decode[MAX_REPEATS], reads[MAX_REPEATS], ratios[MAX_REPEATS];
  const float scale = 0.125f;
  const size_t bytes = LAYERS * BLOCKS * 2 * block;
  for (int i = 0; i < repeats; ++i) {
    double start = now();
    caches[cache].store(&compute, keys[0], values[0], q, q + 1, 0, 511, kv_heads, size);
    stores[i] = 1e6 * (now() - start);
    start = now();
    caches[cache].attend(&compute, out, q, (const void *const *)keys[0], (const void *const *)values[0], 0, 512, HEADS,
                         kv_heads, size, scale);
    prefill[i] = 4e-9 * HEADS * (double)size * (512 * 513 / 2) / (now() - start);
    reads[i] = 1e-9 * (double)bytes / read_seconds(bytes);
    start = now();
    for (int layer = 0; layer < LAYERS; ++layer)
      caches[cache].attend(&compute, out, q, (const void *const *)keys[layer], (const void *const *)values[layer],
                           DEPTH - 1, 1, HEADS, kv_heads, size, scale);
    decode[i] = 1e-9 * (double)bytes / (now() - start);
    ratios[i] = decode[i] / reads[i];
  }
  printf("attention %s %d/%-2ld heads of %3ld: 512 tokens %6.1f GFLOP/s, store %5.0f us; depth %d %6.2f GB/s, "
         "read %6.2f GB/s, ratio %.3f\n",
         caches[cache].name, HEADS, (long)kv_heads, (long)size, median(prefill), median(stores), DEPTH, median(decode),
         median(reads), median(ratios));
  free(q);
  free(out);
}

static void bench_attention(void) {
  for (int cache = 0; cache < 2; ++cache) {
    bench_attention_shape(cache, 32, 64);
    bench_attention_shape(cache, 32, 128);
    bench_attention_shape(cache, 8, 128);
    bench_attention_shape(cache, 4, 64);
  }
}

// ---- the pieces between ----

static void bench_layers(void) {
  const int64_t counts[] = {1, 512}, hidden = 2048, intermediate = 5632;
  float *x = random_floats(512 * 2048), *w = random_floats(2048), *gate_up = random_floats(512 * 2 * 5632);
  float *y = allocate(512 * 5632 * sizeof(float)), *cos = random_floats(512 * 32), *sin = random_floats(512 * 32);
  float *logits = random_floats(100608);
  double sum = 0;
  for (int n = 0; n < 2; ++n) {
    const int64_t tokens = counts[n];
    double norm[MAX_REPEATS], rope[MAX_REPEATS], swiglu[MAX_REPEATS], add[MAX_REPEATS], log[MAX_REPEATS];
    for (int i = 0; i < repeats; ++i) {
      double start = now();
      xvk_rmsnorm_f32(&compute, y, x, w, tokens, hidden, 1e-6f);
      norm[i] = 1e6 * (now() - start);
      start = now();
      xvk_rope_f32(&compute, y, cos, sin, tokens, 32, 64);
      rope[i] = 1e6 * (now() - start);
      start = now();
      xvk_add_f32(&compute, y, x, tokens * hidden);
      add[i] = 1e6 * (now() - start);
      start = now();
      xvk_swiglu_f32(&compute, y, gate_up, tokens, intermediate);
      swiglu[i] = 1e6 * (now() - start);
      start = now();
      sum += xvk_logsumexp_f32(&compute, logits, 100608);
      log[i] = 1e6 * (now() - start);
    }
    printf("layers %3ld tokens: rmsnorm %.1f us, rope %.1f us, add %.1f us, swiglu %.1f us, logsumexp %.1f us\n",
           (long)tokens, median(norm), median(rope), median(add), median(swiglu), median(log));
  }
  sink = (uint64_t)sum;
  free(x), free(w), free(gate_up), free(y), free(cos), free(sin), free(logits);
}

int main(int argc, char **argv) {
  compute = (xvk_compute){xvk_table_for(xvk_best_isa()), argc > 1 ? atoi(argv[1]) : 2, 0};
  if (argc > 2 && atoi(argv[2]) > 0 && atoi(argv[2]) <= MAX_REPEATS) repeats = atoi(argv[2]);
  const char *only = argc > 3 ? argv[3] : NULL;
  printf("%s\n%s, %d threads, medians of %d\n", xvk_blas_prepare(), xvk_isa_name(xvk_best_isa()), compute.threads,
         repeats);

  memory = mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  for (size_t i = 0; i < memory_size; i += 2) memcpy(memory + i, &(uint16_t){(uint16_t)(0x3C00 + i / 2 % 512)}, 2);

  if (only == NULL || strcmp(only, "gemv") == 0) bench_gemv();
  if (only == NULL || strcmp(only, "small") == 0) bench_small_gemm();
  if (only == NULL || strcmp(only, "gemm") == 0) bench_gemm();
  if (only == NULL || strcmp(only, "attention") == 0) bench_attention();
  if (only == NULL || strcmp(only, "layers") == 0) bench_layers();
  return 0;
}
