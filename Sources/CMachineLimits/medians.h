// medians.h -- what the probes share: the clock, and medians of their repeats.
#ifndef ML_MEDIANS_H
#define ML_MEDIANS_H
#include <stdlib.h>
#include <time.h>

enum { MAX_REPEATS = 64 };

static inline double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static inline double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, compare);
  return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

static inline int clamped(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

#endif
