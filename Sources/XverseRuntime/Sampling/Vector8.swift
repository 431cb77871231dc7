// Vector8.swift -- eight floats at a time from memory of any alignment and length.

/// Eight elements from `start`, -inf for those past the end.
@inline(__always)
func vector8(of elements: UnsafeBufferPointer<Float>, at start: Int) -> SIMD8<Float> {
  if start + 8 <= elements.count {
    return UnsafeRawPointer(elements.baseAddress.unsafelyUnwrapped + start).loadUnaligned(as: SIMD8<Float>.self)
  }
  var lanes = SIMD8<Float>(repeating: -.infinity)
  for index in start..<elements.count { lanes[index - start] = elements[index] }
  return lanes
}
