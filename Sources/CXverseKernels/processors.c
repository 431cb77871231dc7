// processors.c -- how many processors the process may use: those of its affinity mask, which containers narrow.

#define _GNU_SOURCE
#include <sched.h>
#include <unistd.h>

#include "include/xverse_kernels.h"

int32_t xvk_processor_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : (int32_t)online;
}
