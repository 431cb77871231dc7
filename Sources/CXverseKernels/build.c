// build.c -- what is known about this build when it is compiled.

#include "include/xverse_kernels.h"

#ifndef XVERSE_COMMIT
#define XVERSE_COMMIT "unknown"
#endif

const char *xvk_build_commit(void) { return XVERSE_COMMIT; }

const char *xvk_build_compiler(void) { return __VERSION__; }

int32_t xvk_isa_is_built(int32_t isa) {
#if defined(__x86_64__)
  return isa >= XVK_ISA_REFERENCE && isa <= XVK_ISA_AVX512;
#elif defined(__aarch64__)
  return isa == XVK_ISA_REFERENCE || isa == XVK_ISA_NEON;
#else
  return isa == XVK_ISA_REFERENCE;
#endif
}
