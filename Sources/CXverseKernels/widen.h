// widen.h -- y[i] = w[i], f16 | bf16 to f32, exactly: the template of avx2/ and neon/widen.c, over the vectors of
// avx2/floats.h and neon/vectors.h.
#include "numbers.h"

XVK_INLINE void widen(xvk_dtype dtype, float *y, const unsigned char *w, int64_t count) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) put(y + i, load(dtype, w + i * xvk_dtype_size(dtype)));
  for (; i < count; ++i) y[i] = xvk_load(dtype, w, i);
}
