// Exponential.swift -- e^x for eight numbers at a time, from IEEE additions and multiplications alone: unlike the C
// library's it gives the same bits on every machine, so a seed gives the same tokens everywhere.

/// e^x for x <= 0, within 3 units in the last place; 0 below -87, where the result would leave the normal floats.
///
/// x = n ln 2 + r with |r| <= ln(2)/2; e^r is its Taylor polynomial of degree 7 (remainder below 2^-27), times 2^n.
@inline(__always)
func exponential(_ x: SIMD8<Float>) -> SIMD8<Float> {
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  let rounder = SIMD8<Float>(repeating: 0x1.8p23)
  let shifted = x * 1.442_695_04 + rounder
  let n = shifted - rounder
  // ln 2 in two parts: the first has 9 significant bits, so its product with n is exact.
  let r = (x - n * 0.693_359_375) - n * -2.121_944_4e-4
  var p = r * (1 / 5040) + (1 / 720)
  p = p * r + (1 / 120)
  p = p * r + (1 / 24)
  p = p * r + (1 / 6)
  p = p * r + 0.5
  p = p * r + 1
  p = p * r + 1
  let exponent = unsafeBitCast(shifted, to: SIMD8<Int32>.self) &- unsafeBitCast(rounder, to: SIMD8<Int32>.self)
  let scale = unsafeBitCast((exponent &+ 127) &<< 23, to: SIMD8<Float>.self)
  return (p * scale).replacing(with: 0, where: x .< -87)
}
