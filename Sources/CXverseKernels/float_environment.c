// float_environment.c -- rounding, traps and the treatment of subnormal numbers: a host may have changed them on its
// threads, and the results here must not depend on it.
//
// On x86-64 the kernels and libm compute with SSE alone, so the x87 unit matters only to what a host's library might do
// with `long double` in between; its environment is moved when its control word is not the default.
#include "include/xverse_kernels.h"

#if defined(__x86_64__)

enum { DEFAULT_MXCSR = 0x1f80, DEFAULT_X87 = 0x37f };

void xvk_float_begin(xvk_float_environment *saved) {
  uint16_t control;
  saved->control = __builtin_ia32_stmxcsr();
  if (saved->control != DEFAULT_MXCSR) __builtin_ia32_ldmxcsr(DEFAULT_MXCSR);
  __asm__ volatile("fnstcw %0" : "=m"(control));
  saved->has_x87 = control != DEFAULT_X87;
  if (!saved->has_x87) return;
  control = DEFAULT_X87;
  __asm__ volatile("fnstenv %0\n\tfnclex\n\tfldcw %1" : "=m"(saved->x87) : "m"(control));
}

void xvk_float_end(const xvk_float_environment *saved) {
  __builtin_ia32_ldmxcsr((unsigned)saved->control);
  if (saved->has_x87) __asm__ volatile("fldenv %0" : : "m"(saved->x87));
}

#elif defined(__aarch64__)

void xvk_float_begin(xvk_float_environment *saved) {
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved->control));
  __asm__ volatile("mrs %0, fpsr" : "=r"(saved->status));
  if (saved->control != 0) __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
}

void xvk_float_end(const xvk_float_environment *saved) {
  __asm__ volatile("msr fpcr, %0" : : "r"(saved->control));
  __asm__ volatile("msr fpsr, %0" : : "r"(saved->status));
}

#else

void xvk_float_begin(xvk_float_environment *saved) { *saved = (xvk_float_environment){0}; }

void xvk_float_end(const xvk_float_environment *saved) { (void)saved; }

#endif
