// parallel.c -- the only OpenMP region of the library, and how threads share work in it.
//
// No omp_* function is called: the region's size is in its clause, so the host's OpenMP settings stay its own, and a
// build without OpenMP runs the same loop on the calling thread. Parts are taken from a counter rather than by thread
// number: should OpenMP grant fewer threads than asked for, one thread runs several parts and the result is the same.
// (An `omp for` would do the same, but libomp 14 allocates memory in each of them.)
#include "parallel.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

// One thread does 2^16 multiply-adds (a product with bf16 weights in cache) in 2.7 us. A fork and join of 2 threads
// costs about as much while the workers still spin, and 12 us once they sleep (libomp 14, Xeon). Sharing work in a
// region that is open costs 0.25 us (Zen 5).
enum { LEAST_COST_OF_FORK = 1 << 16, LEAST_COST_OF_SHARE = 1 << 13 };

// Looks at a counter before a waiting thread offers its processor to others at each look, about 10 us, and before it
// sleeps, about 0.1 ms. The former is longer than what a pass does between two tasks. Between two passes another thread
// of the host may have to run; the system would let it wait for milliseconds behind one that just looks.
enum { LOOKS_ALONE = 1 << 8, LOOKS = 1 << 9 };

// What the threads of a region work on: one task after the other. The counters stand in cache lines of their own.
typedef struct {
  void (*task)(const void *context, int64_t part);
  const void *context;
  int32_t parts;
  _Alignas(64) int32_t left;        // parts that nobody has taken; below 0 when threads came too late
  _Alignas(64) int32_t unfinished;  // parts that were not done
  _Alignas(64) int32_t is_over;     // no other task will come
  int32_t sleeping;                 // threads that wait for `woken`
  pthread_mutex_t mutex;
  pthread_cond_t woken;
} team;

// The team that this thread leads.
static _Thread_local team *led;

// All counters have one order that all threads agree on: who falls asleep sees a new task, or is seen by it.
static int32_t seen(const int32_t *counter) { return __atomic_load_n(counter, __ATOMIC_SEQ_CST); }
static void set(int32_t *counter, int32_t value) { __atomic_store_n(counter, value, __ATOMIC_SEQ_CST); }
static int32_t add(int32_t *counter, int32_t value) { return __atomic_fetch_add(counter, value, __ATOMIC_SEQ_CST); }

static void pause_after(int32_t looks) {
  if (looks >= LOOKS_ALONE) {
    sched_yield();
    return;
  }
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// A part that was taken holds up the next task, so that all of this one can be read.
static void take_parts(team *t) {
  for (int32_t left; (left = add(&t->left, -1)) > 0; add(&t->unfinished, -1)) t->task(t->context, t->parts - left);
}

static int has_news(const team *t) { return seen(&t->left) > 0 || seen(&t->is_over); }

static void sleep_until_news(team *t) {
  pthread_mutex_lock(&t->mutex);
  add(&t->sleeping, 1);
  while (!has_news(t)) pthread_cond_wait(&t->woken, &t->mutex);
  add(&t->sleeping, -1);
  pthread_mutex_unlock(&t->mutex);
}

static void wake_all(team *t) {
  if (seen(&t->sleeping) == 0) return;
  pthread_mutex_lock(&t->mutex);
  pthread_cond_broadcast(&t->woken);
  pthread_mutex_unlock(&t->mutex);
}

// Takes parts until nothing more will come.
static void help(team *t) {
  while (seen(&t->left) > 0 || !seen(&t->is_over)) {
    take_parts(t);
    for (int32_t looks = 0; !has_news(t); ++looks) {
      pause_after(looks);
      if (looks == LOOKS) sleep_until_news(t);
    }
  }
}

static void share(team *t, int32_t parts, void (*task)(const void *context, int64_t part), const void *context) {
  t->task = task, t->context = context, t->parts = parts;
  set(&t->unfinished, parts);
  set(&t->left, parts);
  wake_all(t);
  take_parts(t);
  for (int32_t looks = 0; seen(&t->unfinished) > 0; looks += looks < LOOKS) pause_after(looks);
}

static void lead(team *t, void (*body)(void *context), void *context) {
  led = t;
  body(context);
  led = NULL;
  set(&t->is_over, 1);
  wake_all(t);
}

// Apart from its callers: clang asks libomp for the thread at the entry of the function that holds the region, which
// would make libomp know every host thread that runs a kernel alone. body may be NULL.
__attribute__((noinline)) static void fork_and_join(int32_t threads, team *t, void (*body)(void *context),
                                                    void *context) {
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
#else
  (void)threads;
#endif
  {
    xvk_float_environment inherited;
    xvk_float_begin(&inherited);
#ifdef _OPENMP
#pragma omp master
#endif
    if (body) lead(t, body, context);
    help(t);
    xvk_float_end(&inherited);
  }
}

void xvk_parallel(int32_t threads, int32_t parts, void (*task)(const void *context, int64_t part),
                  const void *context) {
  if (threads <= 1 || parts <= 1) {
    for (int32_t part = 0; part < parts; ++part) task(context, part);
  } else if (led) {
    share(led, parts, task, context);
  } else {
    team t = {.task = task, .context = context, .parts = parts, .left = parts, .unfinished = parts, .is_over = 1};
    fork_and_join(threads < parts ? threads : parts, &t, NULL, NULL);
  }
}

void xvk_together(const xvk_compute *c, void (*body)(void *context), void *context) {
  team t = {.mutex = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER};
  if (c->threads <= 1 || led) {
    xvk_float_environment inherited;
    xvk_float_begin(&inherited);
    body(context);
    xvk_float_end(&inherited);
  } else {
    fork_and_join(c->threads, &t, body, context);
  }
  pthread_cond_destroy(&t.woken);
  pthread_mutex_destroy(&t.mutex);
}

// ---- what libomp ends the process for ----

static void *wait_for_mutex(void *mutex) {
  pthread_mutex_lock(mutex);
  pthread_mutex_unlock(mutex);
  return NULL;
}

// All at a time, as the limits count those that live; afterwards none.
static int start_threads(pthread_t *threads, int32_t count) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  int32_t started = 0;
  int error = 0;
  pthread_mutex_lock(&mutex);
  while (started < count && (error = pthread_create(&threads[started], NULL, wait_for_mutex, &mutex)) == 0) ++started;
  pthread_mutex_unlock(&mutex);
  while (started > 0) pthread_join(threads[--started], NULL);
  pthread_mutex_destroy(&mutex);
  return error;
}

// libomp registers itself in shared memory.
static int share_memory(void) {
  char name[64];
  snprintf(name, sizeof name, "/xverse-%ld-%d", (long)getpid(), (int)(uintptr_t)pthread_self());
  const int file = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
  if (file < 0) return errno == EEXIST ? 0 : errno;
  shm_unlink(name);
  close(file);
  return 0;
}

int32_t xvk_start_error(int32_t threads) {
#ifdef _OPENMP
  pthread_t started[1024];
  if (threads <= 1) return 0;
  const int error = share_memory();
  return error ? error : start_threads(started, threads < 1024 ? threads : 1024);
#else
  (void)threads, (void)start_threads, (void)share_memory;
  return 0;
#endif
}

int32_t xvk_worthwhile_threads(const xvk_compute *c, int64_t cost) {
  const int64_t most = cost / (led ? LEAST_COST_OF_SHARE : LEAST_COST_OF_FORK);
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
  xvk_parallel(threads, parts, run_part, &s);
}

int32_t xvk_has_openmp(void) {
#ifdef _OPENMP
  return 1;
#else
  return 0;
#endif
}
