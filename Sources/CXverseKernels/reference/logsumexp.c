// logsumexp.c -- log(sum over i of e^x[i]), taken relative to the largest x so that nothing overflows.
#include <math.h>
#include "../kernels.h"

double xvk_logsumexp_f32_reference(const float *x, int64_t count) {
  float largest = -INFINITY;
  for (int64_t i = 0; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  const double shift = isinf(largest) ? 0 : largest;  // infinity - infinity would be NaN
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += exp(x[i] - shift);
  return shift + log(sum);
}
