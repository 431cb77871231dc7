// bench_kernels.c -- how near the kernels come to the limits of the machine, each limit measured in the same run.
//
//   GEMV       GB/s of weights read          beside a bare read of memory
//   GEMM       GOP/s with 512 tokens         beside OpenBLAS or the bare multipliers
//   attention  GFLOP/s with 512 tokens, and GB/s of cache read by one token at depth 4096
//
// `make bench` measures whole models; this is for work on a kernel, as it is built in seconds.
// Build, from the top of the repository, with the compiler of the Swift toolchain (another clang does as well):
//   clang -O3 -Xclang -fopenmp -ISources/CXverseKernels/include -ISources/CMachineLimits/include
//     Benchmarks/kernels/bench_kernels.c Sources/CXverseKernels/*.c Sources/CXverseKernels/*/*.c
//     Sources/CMachineLimits/*.c -lopenblas -l:libomp.so.5 -lm -o bench_kernels
// Run: ./bench_kernels [threads [repeats [gemv | small | gemm | attention | layers]]]
//
// Each figure is the median of the repeats; limit and kernel take turns, so both see the same clock and neighbours.
#define _GNU_SOURCE
#include "machine_limits.h"
#include "xverse_kernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

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

// ---- limits ----

static volatile uint64_t sink;

// GB/s.
static double read_speed(void) { return 1e-9 * ml_read_bandwidth(memory_size, compute.threads, 1); }

static int multipliers(void) {
  switch (xvk_best_isa()) {
  case XVK_ISA_AVX512: return ML_AVX512;
  case XVK_ISA_AVXVNNI: return ML_AVXVNNI;
  default: return ML_AVX2;
  }
}

// ---- products ----

typedef void gemm_kernel(const xvk_compute *c, const xvk_product *products, int64_t count, const float *x,
                         int64_t tokens, int64_t cols, float *scratch);

// Bytes of `group` weights that stand together; the multipliers of ML_* that bound it, -1 for OpenBLAS.
static const struct {
  const char *name;
  gemm_kernel *gemm;
  size_t size, group;
  int numbers;
} kinds[] = {
  {"f32", xvk_gemm_f32_f32, 4, 1, -1},
  {"f16", xvk_gemm_f32_f16, 2, 1, -1},
  {"bf16", xvk_gemm_f32_bf16, 2, 1, -1},
  {"int8", xvk_gemm_f32_int8, XVK_INT8_BLOCK, XVK_PANEL * XVK_GROUP, ML_S16},
  {"int4", xvk_gemm_f32_int4, XVK_INT4_BLOCK, XVK_PANEL * XVK_GROUP, ML_S8},
  {"int4_f16", xvk_gemm_f32_int4_f16, XVK_INT4_F16_BLOCK, XVK_PANEL * XVK_GROUP, ML_S8},
};

static const int64_t shapes[][2] = {{2048, 2048}, {5632, 2048}, {2048, 5632}, {11008, 4096}};
enum { KINDS = 6, SHAPES = 4, LARGEST_ROWS = 11008, LARGEST_COLS = 5632 };

static size_t matrix_size(int kind, const int64_t *shape) {
  return (size_t)(shape[0] * shape[1]) / kinds[kind].group * kinds[kind].size;
}

static void multiply(int kind, float *y, const float *x, const void *w, int64_t tokens, const int64_t *shape,
                     float *scratch) {
  const xvk_product product = {y, shape[0], w, shape[0]};
  kinds[kind].gemm(&compute, &product, 1, x, tokens, shape[1], scratch);
}

static float *scratch_for(int64_t tokens) {
  return allocate(xvk_gemm_scratch(&compute, tokens, LARGEST_COLS) * sizeof(float));
}

// GFLOP/s or GOP/s.
static double product_limit(int kind) {
  const int numbers = kinds[kind].numbers;
  return 1e-9 * (numbers < 0 ? ml_sgemm_peak(compute.threads, 1)
                             : ml_multiplier_peak(numbers, multipliers(), compute.threads, 1));
}

// One pass over the whole memory as a row of matrices of this shape.
static double gemv_seconds(int kind, const int64_t *shape, float *y, const float *x, float *scratch, size_t *bytes) {
  const size_t matrix = matrix_size(kind, shape);
  const double start = now();
  for (*bytes = 0; *bytes + matrix <= memory_size; *bytes += matrix)
    multiply(kind, y, x, memory + *bytes, 1, shape, scratch);
  return now() - start;
}

static void bench_gemv(void) {
  float *x = random_floats(LARGEST_COLS), *y = allocate(LARGEST_ROWS * sizeof(float)), *scratch = scratch_for(1);
  for (int kind = 0; kind < KINDS; ++kind) {
    for (int s = 0; s < SHAPES; ++s) {
      double reads[MAX_REPEATS], speeds[MAX_REPEATS], ratios[MAX_REPEATS];
      for (int i = 0; i < repeats; ++i) {
        size_t bytes;
        reads[i] = read_speed();
        const double seconds = gemv_seconds(kind, shapes[s], y, x, scratch, &bytes);
        speeds[i] = 1e-9 * (double)bytes / seconds;
        ratios[i] = speeds[i] / reads[i];
      }
      printf("gemv %-8s %5ld x %-5ld %6.2f GB/s, read %6.2f GB/s, ratio %.3f\n", kinds[kind].name, (long)shapes[s][0],
             (long)shapes[s][1], median(speeds), median(reads), median(ratios));
    }
  }
  free(x);
  free(y);
  free(scratch);
}

static void bench_gemm(void) {
  const int64_t tokens = 512;
  float *x = random_floats(512 * LARGEST_COLS), *y = allocate((size_t)tokens * LARGEST_ROWS * sizeof(float));
  float *scratch = scratch_for(tokens);
  for (int kind = 0; kind < KINDS; ++kind) {
    for (int s = 0; s < SHAPES; ++s) {
      double limits[MAX_REPEATS], speeds[MAX_REPEATS], ratios[MAX_REPEATS];
      const int64_t rows = shapes[s][0], cols = shapes[s][1];
      for (int i = 0; i < repeats; ++i) {
        limits[i] = product_limit(kind);
        const double start = now();
        multiply(kind, y, x, memory, tokens, shapes[s], scratch);
        speeds[i] = 2e-9 * (double)(tokens * rows * cols) / (now() - start);
        ratios[i] = speeds[i] / limits[i];
      }
      printf("gemm %-8s %ld x %5ld x %-5ld %6.1f GOP/s, limit %6.1f GOP/s, ratio %.3f\n", kinds[kind].name,
             (long)tokens, (long)rows, (long)cols, median(speeds), median(limits), median(ratios));
    }
  }
  free(x);
  free(y);
  free(scratch);
}

// Batches of sequences, and where the own kernel and BLAS meet.
static void bench_small_gemm(void) {
  const int64_t counts[] = {1, 2, 3, 4, 6, 8, 12, 15, 16, 24, 32, 48, 64, 128};
  float *x = random_floats(128 * 2048), *y = allocate(128 * 2048 * sizeof(float)), *scratch = scratch_for(128);
  for (int kind = 0; kind < KINDS; ++kind) {
    const size_t matrix = matrix_size(kind, shapes[0]);
    for (size_t n = 0; n < sizeof counts / sizeof *counts; ++n) {
      double speeds[MAX_REPEATS];
      for (int i = 0; i < repeats; ++i) {
        const double start = now();
        for (size_t m = 0; m < 8; ++m) multiply(kind, y, x, memory + m * matrix, counts[n], shapes[0], scratch);
        speeds[i] = 2e-9 * 8 * (double)(counts[n] * shapes[0][0] * shapes[0][1]) / (now() - start);
      }
      printf("gemm %-8s %3ld x 2048 x 2048 %6.1f GOP/s\n", kinds[kind].name, (long)counts[n], median(speeds));
    }
  }
  free(x);
  free(y);
  free(scratch);
}

// ---- attention ----

typedef void attention_kernel(const xvk_compute *c, float *out, const float *q, const void *const *key_blocks,
                              const void *const *value_blocks, int64_t position, int64_t tokens, int64_t heads,
                              int64_t kv_heads, int64_t head_size, float scale, float *scratch);
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

  float *scratch = allocate(xvk_attention_scratch(&compute, DEPTH, 512, HEADS, kv_heads, size) * sizeof(float));
  double prefill[MAX_REPEATS], stores[MAX_REPEATS], decode[MAX_REPEATS], reads[MAX_REPEATS], ratios[MAX_REPEATS];
  const float scale = 0.125f;
  const size_t bytes = LAYERS * BLOCKS * 2 * block;
  for (int i = 0; i < repeats; ++i) {
    double start = now();
    caches[cache].store(&compute, keys[0], values[0], q, q + 1, 0, 511, kv_heads, size);
    stores[i] = 1e6 * (now() - start);
    start = now();
    caches[cache].attend(&compute, out, q, (const void *const *)keys[0], (const void *const *)values[0], 0, 512, HEADS,
                         kv_heads, size, scale, scratch);
    prefill[i] = 4e-9 * HEADS * (double)size * (512 * 513 / 2) / (now() - start);
    reads[i] = read_speed();
    start = now();
    for (int layer = 0; layer < LAYERS; ++layer)
      caches[cache].attend(&compute, out, q, (const void *const *)keys[layer], (const void *const *)values[layer],
                           DEPTH - 1, 1, HEADS, kv_heads, size, scale, scratch);
    decode[i] = 1e-9 * (double)bytes / (now() - start);
    ratios[i] = decode[i] / reads[i];
  }
  printf("attention %s %d/%-2ld heads of %3ld: 512 tokens %6.1f GFLOP/s, store %5.0f us; depth %d %6.2f GB/s, "
         "read %6.2f GB/s, ratio %.3f\n",
         caches[cache].name, HEADS, (long)kv_heads, (long)size, median(prefill), median(stores), DEPTH, median(decode),
         median(reads), median(ratios));
  free(q);
  free(out);
  free(scratch);
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
