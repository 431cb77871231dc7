// swiglu.c -- the gated activation with NEON; swiglu.h has the method.
#if defined(__aarch64__)
#include "vectors.h"

#include "../swiglu.h"

void xvk_swiglu_f32_neon(const void *work, int64_t begin, int64_t end) { swiglu(work, begin, end); }
#endif
