// exponential.h -- e^x of whole vectors: the template of avx2/floats.h, avx512/attention.c and neon/vectors.h.
//
// An includer defines the type floats and
//   floats each(value), multiply(a, b), fused(a, b, c), add(a, b), subtract(a, b)
//   floats larger(a, b), smaller(a, b): b for NaN
//   floats power_of(sum): 2^n, where n stands in the low bits of sum
#include "numbers.h"

// e^x, off by at most 1.01 ulp from -87.3 to 88.3 (every float was tried); below it falls to 0 and above it rises to
// infinity a little early. That of 0 is exactly 1, of -infinity exactly 0, NaN stays NaN.
//
// x = n ln 2 + r with |r| <= ln 2 / 2, n ln 2 subtracted in two parts (Cody & Waite); e^r = 1 + r + r^2 p(r) with p the
// polynomial of degree 4 whose largest error relative to e^r, 3.1e-9, is least (found by Lawson's iteration).
XVK_INLINE floats exponential(floats x) {
  // At these n is -127 and 128, the exponents of 0 and infinity.
  x = smaller(each(89), larger(each(-88), x));
  // The sum is so large that its last bit counts ones: rounding it rounds x / ln 2, and n stands in its low bits.
  const floats large = each(0x1.8p23f);
  const floats sum = fused(x, each(0x1.715476p+0f), large);
  const floats n = subtract(sum, large);

  floats r = fused(n, each(-0x1.63p-1f), x);
  r = fused(n, each(0x1.bd0106p-13f), r);
  floats p = each(0x1.6a2434p-10f);
  p = fused(p, r, each(0x1.1239e2p-7f));
  p = fused(p, r, each(0x1.5558f2p-5f));
  p = fused(p, r, each(0x1.555492p-3f));
  p = fused(p, r, each(0x1.fffffcp-2f));
  p = fused(multiply(r, r), p, r);
  return multiply(add(p, each(1)), power_of(sum));
}
