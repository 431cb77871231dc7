// Temperature.swift -- the first step of sampling proper: logits are divided by the temperature.

extension Candidates {
  /// Divides every logit by `temperature`, which is above 0.
  ///
  /// Where the largest quotient is no finite number (a logit of +inf, a temperature near 0) the result is the limit:
  /// the candidates with the largest logit, all equally likely.
  mutating func applyTemperature(_ temperature: Float) {
    let logits = self.logits
    guard (largest / temperature).isFinite else {
      let largest = self.largest
      keep { logits[$0] == largest }
      for index in 0..<count { logits[index] = 0 }
      self.largest = 0
      return
    }
    guard temperature != 1 else { return }
    for index in 0..<count { logits[index] /= temperature }
    largest /= temperature
  }
}
