// peaks.c -- how fast the multipliers are when nothing is loaded or stored.
//
// The loops are assembly, so that no compiler leaves out or reorders what they measure; twelve sums are more than the
// latency of any of these instructions needs.
#define _GNU_SOURCE
#include "machine_limits.h"
#include "medians.h"
#include "threads.h"

#include <stddef.h>

enum { ITERATIONS = 2000000 };

typedef struct {
  void (*loop)(long iterations);
  double operations;  // of an iteration
} peak;

#if defined(__x86_64__)

#define CLOBBERED                                                                                                     \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
      "xmm14", "xmm15", "cc"
#define LOOP(name, body)                                                              \
  static void name(long iterations) {                                                 \
    __asm__ volatile("vzeroall\n.p2align 5\n1:\n" body "dec %0\njnz 1b\nvzeroupper\n" \
                     : "+r"(iterations)                                               \
                     :                                                                \
                     : CLOBBERED);                                                    \
  }
#define SIX(X) X("0") X("1") X("2") X("3") X("4") X("5")
#define TWELVE(X) SIX(X) X("6") X("7") X("8") X("9") X("10") X("11")

#define FMA(i) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" i "\n"
#define MADD(i) "vpmaddwd %%ymm14, %%ymm15, %%ymm13\nvpaddd %%ymm13, %%ymm" i ", %%ymm" i "\n"
#define FOUR_MADDUBS(i)                                                                                            \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\nvpmaddubsw %%ymm14, %%ymm12, %%ymm11\nvpaddw %%ymm11, %%ymm13, %%ymm13\n" \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm10\nvpmaddubsw %%ymm14, %%ymm12, %%ymm9\nvpaddw %%ymm9, %%ymm10, %%ymm10\n"   \
  "vpaddw %%ymm10, %%ymm13, %%ymm13\nvpmaddwd %%ymm13, %%ymm12, %%ymm13\nvpaddd %%ymm13, %%ymm" i ", %%ymm" i "\n"
#define DPWSSD(i) "%{vex%} vpdpwssd %%ymm14, %%ymm15, %%ymm" i "\n"
#define DPBUSD(i) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" i "\n"
#define WIDE_FMA(i) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" i "\n"
#define WIDE_DPWSSD(i) "vpdpwssd %%zmm14, %%zmm15, %%zmm" i "\n"
#define WIDE_DPBUSD(i) "vpdpbusd %%zmm14, %%zmm15, %%zmm" i "\n"

LOOP(fma_loop, TWELVE(FMA))
LOOP(madd_loop, SIX(MADD))
LOOP(maddubs_loop, SIX(FOUR_MADDUBS))
LOOP(dpwssd_loop, TWELVE(DPWSSD))
LOOP(dpbusd_loop, TWELVE(DPBUSD))
LOOP(wide_fma_loop, TWELVE(WIDE_FMA))
LOOP(wide_dpwssd_loop, TWELVE(WIDE_DPWSSD))
LOOP(wide_dpbusd_loop, TWELVE(WIDE_DPBUSD))

// Products of numbers of 8 bits in a vector of 32 bytes are 32, two operations each.
static const peak peaks[][3] = {
    [ML_AVX2] = {{fma_loop, 12 * 16}, {madd_loop, 6 * 32}, {maddubs_loop, 6 * 256}},
    [ML_AVXVNNI] = {{fma_loop, 12 * 16}, {dpwssd_loop, 12 * 32}, {dpbusd_loop, 12 * 64}},
    [ML_AVX512] = {{wide_fma_loop, 12 * 32}, {wide_dpwssd_loop, 12 * 64}, {wide_dpbusd_loop, 12 * 128}},
};

static int cpu_has(int instructions) {
  switch (instructions) {
    case ML_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case ML_AVXVNNI:
      return __builtin_cpu_supports("avxvnni");
    case ML_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
    default:
      return 0;
  }
}

static peak peak_of(int numbers, int instructions) {
  const int is_known = numbers >= ML_F32 && numbers <= ML_S8;
  return is_known && cpu_has(instructions) ? peaks[instructions][numbers] : (peak){NULL, 0};
}

#else

static peak peak_of(int numbers, int instructions) {
  (void)numbers, (void)instructions;
  return (peak){NULL, 0};
}

#endif

static void run_loop(const void *context, int thread) {
  const peak *const p = context;
  (void)thread;
  p->loop(ITERATIONS);
}

double ml_multiplier_peak(int numbers, int instructions, int threads, int repeats) {
  const peak p = peak_of(numbers, instructions);
  if (p.loop == NULL) return 0;
  threads = clamped(threads, 1, 4096);
  repeats = clamped(repeats, 1, MAX_REPEATS);
  double rates[MAX_REPEATS];
  for (int r = 0; r < repeats; r++) {
    const double start = seconds();
    on_threads(threads, run_loop, &p);
    rates[r] = p.operations * ITERATIONS * threads / (seconds() - start);
  }
  return median(rates, repeats);
}
