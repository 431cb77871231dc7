// parallel.c -- the team of threads: the only OpenMP region of the library, or the same with threads of our own, and how
// they share work.
//
// No omp_* function is called: the region's size is in its clause, so the host's OpenMP settings stay its own. Parts are
// taken from a counter rather than by thread number: should OpenMP grant fewer threads than asked for, one thread runs
// several parts and the result is the same. (An `omp for` would do the same, but libomp 14 allocates memory in each of
// them.)
#define _GNU_SOURCE
#include "parallel.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include "openmp.h"

// One thread does 2^16 multiply-adds (a product with bf16 weights in cache) in 2.7 us. Sharing work in a team costs 0.25
// us (Zen 5). Without a team, as in tests, threads are started for one task.
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

static void take_part(team *t) {
  xvk_float_environment inherited;
  xvk_float_begin(&inherited);
  help(t);
  xvk_float_end(&inherited);
}

static void take_lead(team *t, void (*body)(void *context), void *context) {
  xvk_float_environment inherited;
  xvk_float_begin(&inherited);
  if (body) {
    lead(t, body, context);
  } else {
    help(t);
  }
  xvk_float_end(&inherited);
}

#ifdef _OPENMP
// Apart from its callers: clang asks libomp for the thread at the entry of the function that holds the region, and
// libomp may not be there.
__attribute__((noinline)) static void run_openmp(int32_t threads, team *t, void (*body)(void *context), void *context) {
#pragma omp parallel num_threads(threads)
  {
#pragma omp master
    take_lead(t, body, context);
    take_part(t);
  }
}
#endif

// ---- the same with threads of our own ----

enum { MOST_THREADS = 1024, STACK_BYTES = 4 << 20 };

static void *work(void *t) {
  take_part(t);
  return NULL;
}

// As many as can be had, all signals blocked; returns 0, or why they are fewer than `count`.
static int start(pthread_t *threads, int32_t count, int32_t *started, void *(*function)(void *), void *argument) {
  pthread_attr_t attributes;
  sigset_t every, before;
  int error = 0;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  *started = 0;
  while (*started < count && (error = pthread_create(&threads[*started], &attributes, function, argument)) == 0) {
    ++*started;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

static void join(pthread_t *threads, int32_t count) {
  while (count > 0) pthread_join(threads[--count], NULL);
}

// body may be NULL: the work is in `t`, and fewer threads will do.
static int run_pthreads(int32_t threads, team *t, void (*body)(void *context), void *context) {
  pthread_t others[MOST_THREADS];
  int32_t started;
  const int error = start(others, (threads < MOST_THREADS ? threads : MOST_THREADS) - 1, &started, work, t);
  if (error && body) {
    set(&t->is_over, 1);
    wake_all(t);
  } else {
    take_lead(t, body, context);
  }
  join(others, started);
  return body ? error : 0;
}

static void *wait_for_mutex(void *mutex) {
  pthread_mutex_lock(mutex);
  pthread_mutex_unlock(mutex);
  return NULL;
}

// All at a time, as the limits count those that live.
int32_t xvk_thread_error(int32_t count) {
  pthread_t threads[MOST_THREADS];
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  int32_t started;
  pthread_mutex_lock(&mutex);
  const int error = start(threads, count < MOST_THREADS ? count : MOST_THREADS, &started, wait_for_mutex, &mutex);
  pthread_mutex_unlock(&mutex);
  join(threads, started);
  pthread_mutex_destroy(&mutex);
  return error;
}

void xvk_parallel(int32_t threads, int32_t parts, void (*task)(const void *context, int64_t part),
                  const void *context) {
  if (threads <= 1 || parts <= 1) {
    for (int32_t part = 0; part < parts; ++part) task(context, part);
  } else if (led) {
    share(led, parts, task, context);
  } else {
    team t = {.task = task, .context = context, .parts = parts, .left = parts, .unfinished = parts, .is_over = 1};
    pthread_mutex_init(&t.mutex, NULL);
    pthread_cond_init(&t.woken, NULL);
    run_pthreads(threads < parts ? threads : parts, &t, NULL, NULL);
    pthread_cond_destroy(&t.woken);
    pthread_mutex_destroy(&t.mutex);
  }
}

int32_t xvk_together(const xvk_compute *c, void (*body)(void *context), void *context) {
  team t = {.mutex = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER};
  int32_t error = 0;
  if (led) {
    body(context);
  } else if (c->threads <= 1) {
    xvk_float_environment inherited;
    xvk_float_begin(&inherited);
    body(context);
    xvk_float_end(&inherited);
#ifdef _OPENMP
  } else if (c->threading == XVK_OPENMP) {
    // libomp ends the process when it cannot start them.
    error = xvk_openmp_load() ? xvk_thread_error(c->threads) : ENOENT;
    if (!error) run_openmp(c->threads, &t, body, context);
#endif
  } else {
    error = run_pthreads(c->threads, &t, body, context);
  }
  pthread_cond_destroy(&t.woken);
  pthread_mutex_destroy(&t.mutex);
  return error;
}

int32_t xvk_threading_for(int32_t threads, char *reason, size_t size) {
  if (threads <= 1) {
    snprintf(reason, size, "one thread needs no team");
    return XVK_PTHREAD;
  }
#ifdef _OPENMP
  return xvk_openmp_is_safe(reason, size) ? XVK_OPENMP : XVK_PTHREAD;
#else
  snprintf(reason, size, "the library was built without OpenMP");
  return XVK_PTHREAD;
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
