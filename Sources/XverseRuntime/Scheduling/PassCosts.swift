// PassCosts.swift -- how many tokens of prompts a pass can take without holding up the answers that grow in it.

/// What passes took so far, and what follows for the next one.
struct PassCosts {
  /// A pass with tokens of prompts takes about so many times as long as one without. A listener may see twice that: an event
  /// that comes late leaves its time to the next.
  static let stretch = 1.35
  /// Fewer tokens of prompts are not worth a pass: its weights are read for them alone.
  static let leastTokens = 16
  /// Weight of the last pass in the mean of all.
  private static let weight = 0.25

  /// Nanoseconds of a pass that only extends so many answers; 0: not known.
  private var extending: [Double]
  /// Nanoseconds that one token of a prompt adds; 0: not known.
  private var promptToken = 0.0

  init(maximumSequences: Int) { extending = [Double](repeating: 0, count: maximumSequences + 1) }

  /// How many tokens of prompts to evaluate beside `answers` answers.
  func promptTokens(beside answers: Int, maximum: Int) -> Int {
    guard answers > 0 else { return maximum }
    let pass = duration(extending: answers)
    guard pass > 0, promptToken > 0 else { return min(maximum, 2 * Self.leastTokens) }
    let tokens = (Self.stretch - 1) * pass / promptToken
    return tokens >= Double(maximum) ? maximum : min(maximum, max(Self.leastTokens, Int(tokens)))
  }

  /// Takes note of a pass.
  mutating func record(answers: Int, promptTokens: Int, nanoseconds: Int64) {
    let time = Double(nanoseconds)
    if promptTokens == 0 {
      extending[answers] = Self.mean(extending[answers], time)
    } else if promptTokens >= Self.leastTokens || promptToken == 0 {
      promptToken = Self.mean(promptToken, max(0, time - duration(extending: answers)) / Double(promptTokens))
    }
  }

  /// Of the number of answers that was measured and is nearest.
  private func duration(extending answers: Int) -> Double {
    for distance in 0..<extending.count {
      for count in [answers - distance, answers + distance] where extending.indices.contains(count) {
        if count > 0 && extending[count] > 0 { return answers == 0 ? 0 : extending[count] }
      }
    }
    return 0
  }

  private static func mean(_ old: Double, _ new: Double) -> Double { old == 0 ? new : old + weight * (new - old) }
}
