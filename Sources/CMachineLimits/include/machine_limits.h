/* machine_limits.h -- what this machine can do at best: the figures that `xverse bench` holds its own against.
 *
 * Each call allocates what it needs, measures, and frees it again; nothing is kept. OpenMP's workers spin for a moment
 * after a call: let KMP_BLOCKTIME (200 ms by default) pass before measuring something else.
 */
#ifndef MACHINE_LIMITS_H
#define MACHINE_LIMITS_H
#include <stddef.h>

/* Bytes a second read from memory by `threads` threads, four linear streams each: the median of `repeats` passes over a
 * buffer of `bytes`, which should be far larger than all caches together. 0 when there is no memory for the buffer. */
double ml_read_bandwidth(size_t bytes, int threads, int repeats);

/* Floating-point operations a second of OpenBLAS: C [512, 4096] = A [512, 4096] * B [4096, 4096] transposed, in f32, the
 * columns of C dealt out to `threads` threads with one single-threaded sgemm each; the median of `repeats` runs.
 * Sets OpenBLAS's own number of threads to 1 for the process. 0 when there is no memory for the matrices. */
double ml_sgemm_peak(int threads, int repeats);

#endif
