// TypicalP.swift -- locally typical sampling (Meister et al. 2023): keeps what is about as surprising as expected.

extension Candidates {
  /// Keeps the candidates whose surprise -log p is nearest to the entropy, as few as reach a probability of `mass`,
  /// and all that are as near as the last of them, as Hugging Face's `TypicalLogitsWarper`.
  mutating func keepTypicalP(_ mass: Float) {
    let total = totalWeight()
    let logits = self.logits
    let weights = self.weights
    var sum = 0.0
    for index in 0..<count where weights[index] > 0 { sum += Double(weights[index]) * Double(logits[index]) }
    // -log p - entropy = (mean logit) - logit: the normalization cancels.
    let mean = sum / total
    cut(mass: Double(mass) * total) { -Float(abs(Double(logits[$0]) - mean)) }
  }

  @inline(__always)
  private mutating func cut(mass target: Double, rank: (_ index: Int) -> Float) {
    let weights = self.weights
    let cut = threshold(of: count, reaching: target, rank: rank, mass: { Double(weights[$0]) })
    keep { rank($0) >= cut.rank }
  }
}
