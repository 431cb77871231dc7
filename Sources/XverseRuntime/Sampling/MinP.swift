// MinP.swift -- min-p sampling (Nguyen et al. 2024): a bound that follows the best candidate.

extension Candidates {
  /// Keeps the candidates at least `fraction` as probable as the most probable one, as Hugging Face's
  /// `MinPLogitsWarper`.
  mutating func keepMinP(_ fraction: Float) {
    weigh()
    let weights = self.weights
    // The most probable one has the weight 1.
    keep { weights[$0] >= fraction }
  }
}
