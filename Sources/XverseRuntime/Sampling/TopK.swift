// TopK.swift -- keeps the k best candidates.

extension Candidates {
  /// Keeps the `k` >= 1 largest logits and all that equal the smallest of them, as Hugging Face's `TopKLogitsWarper`.
  mutating func keepTopK(_ k: Int) {
    guard k < count else { return }
    // Worth its pass when it leaves little to the exact search.
    if k < count / 256 { keepAboveBlockMaxima(k) }
    let logits = self.logits
    let cut = threshold(of: count, reaching: Double(k), rank: { logits[$0] }, mass: { _ in 1 })
    keep { logits[$0] >= cut.rank }
  }

  /// Drops what cannot be among the `k` largest: at least `k` logits are as large as the k-th largest of the maxima
  /// of blocks of 32.
  private mutating func keepAboveBlockMaxima(_ k: Int) {
    let logits = self.logits
    let source = UnsafeRawPointer(logits.baseAddress.unsafelyUnwrapped)
    // Weights are seldom there yet; their memory serves for the maxima.
    isWeighed = false
    let maxima = weights
    let blockCount = count / 32
    for block in 0..<blockCount {
      var largest = SIMD8<Float>(repeating: -.infinity)
      for part in 0..<4 {
        let lanes = source.load(fromByteOffset: block * 128 + part * 32, as: SIMD8<Float>.self)
        largest.replace(with: lanes, where: lanes .> largest)
      }
      maxima[block] = largest.max()
    }
    let bound = threshold(of: blockCount, reaching: Double(k), rank: { maxima[$0] }, mass: { _ in 1 })
    keep { logits[$0] >= bound.rank }
  }
}
