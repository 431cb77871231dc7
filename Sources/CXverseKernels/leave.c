// leave.c -- the end of a process that is leaving while threads of ours still work, and cannot be stopped in time: it ends
// before the destructors of libraries take away what these threads use.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "include/xverse_kernels.h"

static atomic_int must_leave;

void xvk_leave_after_handlers(void) { atomic_store(&must_leave, 1); }

#ifdef __GLIBC__

static void *flush(void *is_flushed) {
  fflush(NULL);
  atomic_store((atomic_int *)is_flushed, 1);
  return NULL;
}

// As exit does at its end; but that passes over streams that another thread holds, and fflush waits for them.
static void flush_streams(void) {
  static atomic_int is_flushed;
  const struct timespec pause = {.tv_nsec = 1000000};
  pthread_t thread;
  if (pthread_create(&thread, NULL, flush, &is_flushed) != 0) return;
  for (int i = 0; i < 1000 && !atomic_load(&is_flushed); ++i) nanosleep(&pause, NULL);
}

static void leave(int status, void *unused) {
  (void)unused;
  if (!atomic_load(&must_leave)) return;
  flush_streams();
  _exit(status);
}

// Handlers run in the reverse order of their registration, so the host's own come first.
__attribute__((constructor)) static void register_handler(void) { on_exit(leave, NULL); }

#endif
