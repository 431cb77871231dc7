// bench_kernels.c -- how near the kernels come to the limits of the machine, each limit measured in the same run.
//
//   GEMV       GB/s of weights read          beside a bare read of memory
//   GEMM       GOP/s with 512 tokens         beside the bare multipliers, for float weights OpenBLAS too
//   attention  GFLOP/s with 512 tokens, and GB/s of cache read by one token at depth 4096
//
// `make bench` measures whole models; this is for work on a kernel, as it is built in seconds.
// Build, from the top of the repository, with the compiler of the Swift toolchain (another clang does as well):
//   clang -O3 -Xclang -fopenmp -ISources/CXverseKernels/include -ISources/CMachineLimits/include
//     Benchmarks/kernels/bench_kernels.c Sources/CXverseKernels/*.c Sources/CXverseKernels/*/*.c
//     Sources/CMachineLimits/*.c -lm -ldl -o bench_kernels
// Run: ./bench_kernels [threads [repeats [gemv | small | gemm | attention | layers]]]
//
// Each figure is the median of the repeats; limit and kernel take turns, so both see the same clock and neighbours.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "machine_limits.h"
#include "xverse_kernels.h"

enum { MAX_REPEATS = 101 };
static const size_t memory_size = 1u << 30;  // beyond every cache
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
    case XVK_ISA_AVX512:
      return ML_AVX512;
    case XVK_ISA_AVXVNNI:
      return ML_AVXVNNI;
    default:
      return ML_AVX2;
  }
}

// ---- products ----

// Bytes of `group` weights that stand together; the multipliers of ML_* that bound it.
static const struct {
  const char *name;
  xvk_dtype dtype;
  size_t size, group;
  int multipliers;
} kinds[] = {
    {"f32", XVK_F32, 4, 1, ML_F32},
    {"f16", XVK_F16, 2, 1, ML_F32},
    {"bf16", XVK_BF16, 2, 1, ML_F32},
    {"int8", XVK_INT8, XVK_INT8_BLOCK, XVK_PANEL *XVK_GROUP, ML_S16},
    {"int4", XVK_INT4, XVK_INT4_BLOCK, XVK_PANEL *XVK_GROUP, ML_S8},
    {"int4_f16", XVK_INT4_F16, XVK_INT4_F16_BLOCK, XVK_PANEL *XVK_GROUP, ML_S8},
};

static const int64_t shapes[][2] = {{2048, 2048}, {5632, 2048}, {2048, 5632}, {11008, 4096}};
enum {
  KINDS = sizeof kinds / sizeof *kinds,
  SHAPES = sizeof shapes / sizeof *shapes,
  LARGEST_ROWS = 11008,
  LARGEST_COLS = 5632
};

static size_t matrix_size(int kind, const int64_t *shape) {
  return (size_t)(shape[0] * shape[1]) / kinds[kind].group * kinds[kind].size;
}

static void multiply(int kind, float *y, const float *x, const void *w, int64_t tokens, const int64_t *shape,
                     float *scratch) {
  const int64_t unit = kinds[kind].group == 1 ? 1 : XVK_PANEL;  // rows of a stride
  const int64_t stride = unit * shape[1] / (int64_t)kinds[kind].group * (int64_t)kinds[kind].size;
  const xvk_product product = {y, shape[0], {w, kinds[kind].dtype, shape[0], shape[1], stride}};
  xvk_gemm(&compute, &product, 1, x, tokens, scratch);
}

static float *scratch_for(int64_t tokens) {
  return allocate(xvk_gemm_scratch(&compute, tokens, LARGEST_COLS) * sizeof(float));
}

// GFLOP/s or GOP/s.
static double product_limit(int kind) {
  return 1e-9 * ml_multiplier_peak(kinds[kind].multipliers, multipliers(), compute.threads, 1);
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
      double limits[MAX_REPEATS], speeds[MAX_REPEATS], ratios[MAX_REPEATS], blas[MAX_REPEATS];
      const int64_t rows = shapes[s][0], cols = shapes[s][1];
      const int is_float = kinds[kind].multipliers == ML_F32;
      for (int i = 0; i < repeats; ++i) {
        limits[i] = product_limit(kind);
        const double start = now();
        multiply(kind, y, x, memory, tokens, shapes[s], scratch);
        speeds[i] = 2e-9 * (double)(tokens * rows * cols) / (now() - start);
        ratios[i] = speeds[i] / limits[i];
        blas[i] = is_float ? speeds[i] / (1e-9 * ml_sgemm_peak(compute.threads, 1)) : 0;
      }
      printf("gemm %-8s %ld x %5ld x %-5ld %6.1f GOP/s, limit %6.1f GOP/s, ratio %.3f", kinds[kind].name, (long)tokens,
             (long)rows, (long)cols, median(speeds), median(limits), median(ratios));
      if (is_float) printf(", to sgemm %.3f", median(blas));
      printf("\n");
    }
  }
  free(x);
  free(y);
  free(scratch);
}

// Batches of sequences.
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

static const struct {
  const char *name;
  xvk_dtype dtype;
  size_t size, scale;  // bytes of an element; of what a vector has besides
} caches[] = {{"f32", XVK_F32, 4, 0}, {"f16", XVK_F16, 2, 0}, {"int8", XVK_INT8, 1, sizeof(float)}};

enum { HEADS = 32, DEPTH = 4096, BLOCKS = DEPTH / XVK_KV_BLOCK, LAYERS = 8, MAX_HEAD_SIZE = 128, SEQUENCES = 16 };

typedef struct {
  void *blocks[SEQUENCES][BLOCKS];
  xvk_segment segments[SEQUENCES];
  int64_t part;  // bytes of the keys of a layer in a block
  int cache;
  int64_t kv_heads, size;
} attention_bench;

// The first `count` sequences of a layer.
static xvk_kv layer_of(const attention_bench *b, int64_t layer, int64_t count) {
  return (xvk_kv){
      caches[b->cache].dtype, 2 * layer * b->part, (2 * layer + 1) * b->part, b->kv_heads, b->size, b->segments, count};
}

// One sequence of DEPTH positions in LAYERS layers, every number of which is finite.
static void fill_sequence(attention_bench *b, const float *x) {
  b->part = (int64_t)((size_t)(b->kv_heads * XVK_KV_BLOCK) *
                      ((size_t)b->size * caches[b->cache].size + caches[b->cache].scale));
  for (int i = 0; i < BLOCKS; ++i) b->blocks[0][i] = memory + (size_t)(i * 2 * LAYERS * b->part);
  for (int layer = 0; layer < LAYERS; ++layer) {
    for (int p = 0; p < DEPTH; p += 256) {
      b->segments[0] = (xvk_segment){b->blocks[0], p, 0, 256};
      const xvk_kv kv = layer_of(b, layer, 1);
      xvk_kv_store(&compute, &kv, x, x + 1);
    }
  }
}

// Seconds in which the first `layers` layers attend.
static double attend(const attention_bench *b, int64_t layers, int64_t count, float *out, const float *q,
                     float *scratch) {
  const double start = now();
  for (int64_t layer = 0; layer < layers; ++layer) {
    const xvk_kv kv = layer_of(b, layer, count);
    xvk_attention(&compute, out, q, &kv, HEADS, 0.125f, scratch);
  }
  return now() - start;
}

static void bench_attention_shape(int cache, int64_t kv_heads, int64_t size) {
  attention_bench b = {.cache = cache, .kv_heads = kv_heads, .size = size};
  float *q = random_floats(512 * HEADS * MAX_HEAD_SIZE), *out = allocate(512 * HEADS * MAX_HEAD_SIZE * sizeof(float));
  float *scratch = allocate(xvk_attention_scratch(&compute, DEPTH, 512, HEADS, kv_heads, size) * sizeof(float));
  double prefill[MAX_REPEATS], stores[MAX_REPEATS], decode[MAX_REPEATS], reads[MAX_REPEATS], ratios[MAX_REPEATS];
  double shallow[MAX_REPEATS];
  fill_sequence(&b, q);
  const size_t bytes = (size_t)(LAYERS * BLOCKS * 2 * b.part);
  for (int i = 0; i < repeats; ++i) {
    b.segments[0] = (xvk_segment){b.blocks[0], 0, 0, 511};
    const xvk_kv kv = layer_of(&b, 0, 1);
    const double start = now();
    xvk_kv_store(&compute, &kv, q, q + 1);
    stores[i] = 1e6 * (now() - start);
    b.segments[0].tokens = 512;
    prefill[i] = 4e-9 * HEADS * (double)size * (512 * 513 / 2) / attend(&b, 1, 1, out, q, scratch);
    b.segments[0] = (xvk_segment){b.blocks[0], 127, 0, 1};
    shallow[i] = 1e6 / LAYERS * attend(&b, LAYERS, 1, out, q, scratch);
    reads[i] = read_speed();
    b.segments[0].position = DEPTH - 1;
    decode[i] = 1e-9 * (double)bytes / attend(&b, LAYERS, 1, out, q, scratch);
    ratios[i] = decode[i] / reads[i];
  }
  printf(
      "attention %-4s %d/%-2ld heads of %3ld: 512 tokens %6.1f GFLOP/s, store %5.0f us; depth 128 %5.1f us, "
      "depth %d %6.2f GB/s, read %6.2f GB/s, ratio %.3f\n",
      caches[cache].name, HEADS, (long)kv_heads, (long)size, median(prefill), median(stores), median(shallow), DEPTH,
      median(decode), median(reads), median(ratios));
  free(q);
  free(out);
  free(scratch);
}

// Sequences of many lengths, a token each, in one call, beside a call for each: they read the same blocks.
static void bench_segments(int cache, int64_t kv_heads, int64_t size) {
  attention_bench b = {.cache = cache, .kv_heads = kv_heads, .size = size};
  float *q = random_floats(256 * HEADS * MAX_HEAD_SIZE),
        *out = allocate(SEQUENCES * HEADS * MAX_HEAD_SIZE * sizeof(float));
  float *scratch = allocate(xvk_attention_scratch(&compute, DEPTH, 512, HEADS, kv_heads, size) * sizeof(float));
  double together[MAX_REPEATS], apart[MAX_REPEATS], ratios[MAX_REPEATS];
  fill_sequence(&b, q);
  for (int i = 0; i < repeats; ++i) {
    apart[i] = 0;
    for (int s = 0; s < SEQUENCES; ++s) {
      b.segments[0] = (xvk_segment){b.blocks[0], 37 + s * s * (DEPTH - 64) / (SEQUENCES * SEQUENCES), s, 1};
      apart[i] += attend(&b, LAYERS, 1, out, q, scratch);
    }
    for (int s = 0; s < SEQUENCES; ++s)
      b.segments[s] = (xvk_segment){b.blocks[0], 37 + s * s * (DEPTH - 64) / (SEQUENCES * SEQUENCES), s, 1};
    together[i] = attend(&b, LAYERS, SEQUENCES, out, q, scratch);
    ratios[i] = apart[i] / together[i];
  }
  printf("attention %-4s %d/%-2ld heads of %3ld: %d sequences together %7.0f us, one by one %7.0f us, ratio %.3f\n",
         caches[cache].name, HEADS, (long)kv_heads, (long)size, SEQUENCES, 1e6 / LAYERS * median(together),
         1e6 / LAYERS * median(apart), median(ratios));
  free(q);
  free(out);
  free(scratch);
}

static void bench_attention(void) {
  for (int cache = 0; cache < 3; ++cache) {
    bench_attention_shape(cache, 32, 64);
    bench_attention_shape(cache, 32, 128);
    bench_attention_shape(cache, 8, 128);
    bench_attention_shape(cache, 4, 64);
    bench_segments(cache, 32, 128);
    bench_segments(cache, 4, 64);
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
      xvk_rmsnorm(&compute, y, x, w, tokens, hidden, 1e-6f);
      norm[i] = 1e6 * (now() - start);
      start = now();
      xvk_rope(&compute, y, cos, sin, tokens, 32, 64);
      rope[i] = 1e6 * (now() - start);
      start = now();
      xvk_add(&compute, y, x, tokens * hidden);
      add[i] = 1e6 * (now() - start);
      start = now();
      xvk_swiglu(&compute, y, gate_up, tokens, intermediate);
      swiglu[i] = 1e6 * (now() - start);
      start = now();
      sum += xvk_logsumexp(&compute, logits, 100608);
      log[i] = 1e6 * (now() - start);
    }
    printf("layers %3ld tokens: rmsnorm %.1f us, rope %.1f us, add %.1f us, swiglu %.1f us, logsumexp %.1f us\n",
           (long)tokens, median(norm), median(rope), median(add), median(swiglu), median(log));
  }
  sink = (uint64_t)sum;
  free(x), free(w), free(gate_up), free(y), free(cos), free(sin), free(logits);
}

static void bench(void *part) {
  const char *const only = part;
  if (only == NULL || strcmp(only, "gemv") == 0) bench_gemv();
  if (only == NULL || strcmp(only, "small") == 0) bench_small_gemm();
  if (only == NULL || strcmp(only, "gemm") == 0) bench_gemm();
  if (only == NULL || strcmp(only, "attention") == 0) bench_attention();
  if (only == NULL || strcmp(only, "layers") == 0) bench_layers();
}

int main(int argc, char **argv) {
  compute = (xvk_compute){xvk_table_for(xvk_best_isa()), argc > 1 ? atoi(argv[1]) : 2, XVK_PTHREAD};
  if (argc > 2 && atoi(argv[2]) > 0 && atoi(argv[2]) <= MAX_REPEATS) repeats = atoi(argv[2]);
  char *const only = argc > 3 ? argv[3] : NULL;
  printf("%s, %d threads, medians of %d\n", xvk_isa_name(xvk_best_isa()), compute.threads, repeats);

  memory = mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  for (size_t i = 0; i < memory_size; i += 2) memcpy(memory + i, &(uint16_t){(uint16_t)(0x3C00 + i / 2 % 512)}, 2);

  // In one team, as a runtime's compute thread has it.
  return xvk_together(&compute, bench, only) != 0;
}
