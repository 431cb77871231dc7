// Multinomial.swift -- the last step: one candidate is drawn with its probability.

extension Candidates {
  /// The token at which the cumulative probability, in ascending order of id, passes `uniform` in [0, 1).
  ///
  /// There must be a candidate. O(count).
  mutating func draw(_ uniform: Double) -> Int32 {
    let goal = uniform * totalWeight()
    let tokens = self.tokens
    let weights = self.weights
    var sum = 0.0
    var token = tokens[0]
    for index in 0..<count where weights[index] > 0 {
      token = tokens[index]
      sum += Double(weights[index])
      if sum > goal { break }
    }
    return token
  }
}
