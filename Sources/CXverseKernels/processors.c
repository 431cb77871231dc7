// processors.c -- which CPUs a thread may run on, and its name: calls that Swift's view of the C library lacks.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "include/xverse_kernels.h"

int32_t xvk_processors(int32_t thread, uint8_t *bits, size_t size) {
  return sched_getaffinity(thread, size, (cpu_set_t *)bits) == 0;
}

int32_t xvk_bind_thread(const uint8_t *bits, size_t size) {
  return sched_setaffinity(0, size, (const cpu_set_t *)bits) == 0;
}

void xvk_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
