// logsumexp.c -- the logarithm of a sum of exponentials with NEON; logsumexp.h has the method.
#if defined(__aarch64__)
#include "vectors.h"

#include "../logsumexp.h"

double xvk_logsumexp_f32_neon(const float *x, int64_t count) { return logsumexp(x, count); }
#endif
