// logsumexp.h -- log(sum over i of e^x[i]), taken relative to the largest x, added up in double: the template of avx2/
// and neon/logsumexp.c, over the vectors of avx2/floats.h and neon/vectors.h.
#include <math.h>
#include "numbers.h"

// Numbers at a time, and their sums, which are the same for vectors of any width.
enum { AT_ONCE = 8, SUMS = 4, EACH = LANES / 2 };

XVK_INLINE void add_exponentials(doubles sums[SUMS / EACH], const float *x, float shift) {
  float e[AT_ONCE];
  for (int i = 0; i < AT_ONCE; i += LANES) put(e + i, exponential(subtract(load(XVK_F32, x + i), each(shift))));
  for (int j = 0; j < SUMS / EACH; ++j)
    sums[j] = add_doubles(sums[j], add_doubles(widened(e + EACH * j), widened(e + SUMS + EACH * j)));
}

XVK_INLINE double logsumexp(const float *x, int64_t count) {
  const int64_t whole = count / AT_ONCE * AT_ONCE;
  float last[AT_ONCE];
  for (int i = 0; i < AT_ONCE; ++i) last[i] = -INFINITY;
  memcpy(last, x + whole, (size_t)(count - whole) * sizeof *x);
  // A NaN, as the first operand of `larger`, is passed over: the sum meets it again.
  floats largest_lanes = each(-INFINITY);
  for (int64_t i = 0; i < whole; i += LANES) largest_lanes = larger(load(XVK_F32, x + i), largest_lanes);
  for (int i = 0; i < AT_ONCE; i += LANES) largest_lanes = larger(load(XVK_F32, last + i), largest_lanes);
  const float largest = largest_of(largest_lanes);

  const float shift = isinf(largest) ? 0 : largest;  // infinity - infinity would be NaN
  doubles sums[SUMS / EACH];
  for (int j = 0; j < SUMS / EACH; ++j) sums[j] = zero_doubles();
  for (int64_t i = 0; i < whole; i += AT_ONCE) add_exponentials(sums, x + i, shift);
  add_exponentials(sums, last, shift);
  double sum[SUMS];
  for (int j = 0; j < SUMS / EACH; ++j) put_doubles(sum + EACH * j, sums[j]);
  return shift + log((sum[0] + sum[1]) + (sum[2] + sum[3]));
}
