// threads.h -- the same work on several threads at a time.
#ifndef THREADS_H
#define THREADS_H
#include <pthread.h>

enum { MOST_THREADS = 4096 };

typedef struct {
  void (*run)(const void *context, int thread);
  const void *context;
  int thread;
} thread_work;

static void *run_thread(void *work) {
  const thread_work *const w = work;
  w->run(w->context, w->thread);
  return NULL;
}

// Runs run(context, t) for every t in 0 ..< threads, each on a thread of its own, as far as the system gives any; returns
// when all are done. threads <= MOST_THREADS.
static inline void on_threads(int threads, void (*run)(const void *context, int thread), const void *context) {
  static pthread_t started[MOST_THREADS];
  static thread_work work[MOST_THREADS];
  int count = 0;
  for (int t = 1; t < threads; t++) {
    work[count] = (thread_work){run, context, t};
    if (pthread_create(&started[count], NULL, run_thread, &work[count]) == 0) {
      count++;
    } else {
      run(context, t);
    }
  }
  run(context, 0);
  while (count > 0) pthread_join(started[--count], NULL);
}

#endif
