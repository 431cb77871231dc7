// parallel.c -- the only OpenMP region of the library.
//
// No omp_* function is called: the region's size is in its clause, so the host's OpenMP settings stay its own, and a
// build without OpenMP runs the same loop on the calling thread. Parts are taken from a counter rather than by thread
// number: should OpenMP grant fewer threads than asked for, one thread runs several parts and the result is the same.
// (An `omp for` would do the same, but libomp 14 allocates memory in each of them.)
#include "parallel.h"

// One thread does 2^16 multiply-adds (a product with bf16 weights in cache) in 2.7 us. A fork and join of 2 threads
// costs about as much while the workers still spin, and 12 us once they sleep (libomp 14, Xeon).
enum { MINIMUM_COST_PER_THREAD = 1 << 16 };

// Apart from its caller: clang asks libomp for the thread at the entry of the function that holds the region, which would
// make libomp know every host thread that runs a kernel alone.
__attribute__((noinline)) static void fork_and_join(int32_t parts, void (*task)(const void *context, int64_t part),
                                                    const void *context) {
  int32_t taken = 0;
#ifdef _OPENMP
#pragma omp parallel num_threads(parts)
#endif
  for (int32_t part; (part = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED)) < parts;) task(context, part);
}

void xvk_parallel(int32_t parts, void (*task)(const void *context, int64_t part), const void *context) {
  if (parts <= 1) {
    task(context, 0);
  } else {
    fork_and_join(parts, task, context);
  }
}

int32_t xvk_worthwhile_threads(const xvk_compute *c, int64_t cost) {
  const int64_t most = cost / MINIMUM_COST_PER_THREAD;
  return most < 1 ? 1 : most < c->threads ? (int32_t)most : c->threads;
}

typedef struct {
  xvk_range *kernel;
  const void *work;
  int64_t count, grain, parts;
} split;

static void run_part(const void *context, int64_t part) {
  const split *const s = context;
  const int64_t units = (s->count + s->grain - 1) / s->grain;
  const int64_t begin = xvk_part_begin(units, s->parts, part) * s->grain;
  const int64_t end = xvk_part_begin(units, s->parts, part + 1) * s->grain;
  if (begin < end) s->kernel(s->work, begin, end < s->count ? end : s->count);
}

void xvk_split(int32_t threads, xvk_range *kernel, const void *work, int64_t count, int64_t grain) {
  const int64_t units = (count + grain - 1) / grain;
  const int32_t parts = units < threads ? (int32_t)units : threads;
  const split s = {kernel, work, count, grain, parts};
  if (parts > 0) xvk_parallel(parts, run_part, &s);
}

int32_t xvk_has_openmp(void) {
#ifdef _OPENMP
  return 1;
#else
  return 0;
#endif
}
