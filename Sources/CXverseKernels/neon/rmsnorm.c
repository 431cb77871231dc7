// rmsnorm.c -- the root mean square norm with NEON; rmsnorm.h has the method.
#if defined(__aarch64__)
#include "vectors.h"

#include "../rmsnorm.h"

void xvk_rmsnorm_f32_neon(const void *work, int64_t begin, int64_t end) { rmsnorm(work, begin, end); }
#endif
