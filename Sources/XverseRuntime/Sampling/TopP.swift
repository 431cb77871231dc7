// TopP.swift -- nucleus sampling (Holtzman et al. 2020): keeps the head of the distribution.

extension Candidates {
  /// Keeps the most probable candidates, as few as reach a probability of `mass`, at least one.
  ///
  /// A candidate stays if those before it have less than `mass`, as in Hugging Face's `TopPLogitsWarper`. Among equals
  /// the lower id comes first; there the order is the sort's.
  mutating func keepTopP(_ mass: Float) {
    let total = totalWeight()
    let target = Double(mass) * total
    let logits = self.logits
    let weights = self.weights
    // All candidates below 1/count of the mass to be cut are less than that mass together: they are never needed, and
    // of a real distribution they are nearly all.
    let negligible = Float((total - target) / Double(count)).nextDown
    keep { weights[$0] >= negligible }
    let cut = threshold(of: count, reaching: target, rank: { logits[$0] }, mass: { Double(weights[$0]) })
    var before = cut.massAbove
    keep {
      guard logits[$0] == cut.rank else { return logits[$0] > cut.rank }
      let stays = before < target || before == 0
      before += Double(weights[$0])
      return stays
    }
  }
}
