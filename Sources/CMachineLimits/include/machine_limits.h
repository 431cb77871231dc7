/* machine_limits.h -- what this machine can do at best: the figures that the benchmarks hold their own against.
 *
 * Each call allocates what it needs, starts threads, measures, and gives all back; one call at a time.
 */
#ifndef MACHINE_LIMITS_H
#define MACHINE_LIMITS_H
#include <stddef.h>

/* Bytes a second read from memory by `threads` threads, four linear streams each: the median of `repeats` passes over a
 * buffer of `bytes`, which should be far larger than all caches together. 0 when there is no memory for the buffer. */
double ml_read_bandwidth(size_t bytes, int threads, int repeats);

/* Floating-point operations a second of OpenBLAS: C [512, 4096] = A [512, 4096] * B [4096, 4096] transposed, in f32, the
 * columns of C dealt out to `threads` threads with one single-threaded sgemm each; the median of `repeats` runs.
 * Sets OpenBLAS's own number of threads to 1 for the process. 0 when there is no OpenBLAS or no memory for the matrices. */
double ml_sgemm_peak(int threads, int repeats);

/* Operations a second of `threads` threads that do nothing but multiply and add in registers, a multiply-add counting as
 * two; the median of `repeats` runs. 0 when this CPU lacks the instructions.
 *   ML_F32   fused multiply-adds of f32
 *   ML_S16   products of s16 and s16, added in s32: madd and add, or vpdpwssd
 *   ML_S8    products of u8 and s8: four maddubs added in s16, then madd and add; or vpdpbusd */
enum { ML_F32 = 0, ML_S16 = 1, ML_S8 = 2 };
enum { ML_AVX2 = 0, ML_AVXVNNI = 1, ML_AVX512 = 2 };
double ml_multiplier_peak(int numbers, int instructions, int threads, int repeats);

#endif
