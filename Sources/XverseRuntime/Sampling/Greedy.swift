// Greedy.swift -- the choice without chance.

/// Index of the largest element, the lowest among equals; nil when all are -inf or NaN. One pass.
func indexOfLargest(_ logits: UnsafeBufferPointer<Float>) -> Int? {
  var largest = SIMD8<Float>(repeating: -.infinity)
  var starts = SIMD8<Int32>(repeating: -1)
  for start in stride(from: 0, to: logits.count, by: 8) {
    let lanes = vector8(of: logits, at: start)
    let isLarger = lanes .> largest
    largest.replace(with: lanes, where: isLarger)
    starts.replace(with: Int32(truncatingIfNeeded: start), where: isLarger)
  }
  var best: Int?
  for lane in 0..<8 where starts[lane] >= 0 && largest[lane] == largest.max() {
    best = min(best ?? .max, Int(starts[lane]) + lane)
  }
  return best
}
