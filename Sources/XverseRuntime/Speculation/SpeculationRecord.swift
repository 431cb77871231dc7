// SpeculationRecord.swift -- what speculation has cost and won so far, and how many tokens to guess for that reason. It
// decides about time only: what is generated does not depend on it.

/// What one session, or the requests of one scheduler, measured about guessing.
///
/// Threads: one owner at a time.
package class SpeculationRecord {
  /// How sure a guess is, by what it comes from.
  enum Confidence {
    /// Prompt lookup, after a match of so many tokens.
    case match(length: Int)
    case draft

    fileprivate var index: Int {
      switch self {
      case .draft: 0
      case .match(...1): 1
      case .match(2): 2
      case .match(3): 3
      case .match(...5): 4
      case .match(...9): 5
      case .match(...16): 6
      case .match: 7
      }
    }
  }

  /// How often guesses of each confidence were right, as moving averages; a match says more the longer it is.
  private var rates = [0.6, 0.3, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9]
  private var times = PassTimes()
  /// Nanoseconds that a guess of the draft model takes; 0: not known.
  private var draftTime = 0.0
  /// Nanoseconds that guessing may lose: the balance of what it has won and lost, and an allowance. nil: no pass yet.
  private var credit: Double?

  /// The part of all time that guessing may lose in the long run, below the promised 3 %.
  private static let allowance = 0.015
  /// What is won is credit up to this many passes.
  private static let mostCredit = 8.0
  private static let memory = 16.0

  package init() {}

  /// Takes note of a pass.
  ///
  /// - Parameters:
  ///   - rows: Tokens of the pass that had logits.
  ///   - guesses: Those of them that were guessed.
  package func recordPass(nanoseconds: Int64, rows: Int, guesses: Int) {
    times.record(rows: rows, nanoseconds: nanoseconds)
    let (plain, time) = (times.estimate(rows: rows - guesses), times.estimate(rows: rows))
    add(Self.allowance * time - max(0, time - plain), perPass: plain)
  }

  /// Takes note of what the draft model took for some guesses.
  ///
  /// - Parameter isTypical: Whether it did nothing else meanwhile, such as read what it was not asked about.
  func recordDraft(nanoseconds: Int64, guesses: Int, isTypical: Bool) {
    add(-Double(nanoseconds), perPass: times.estimate(rows: 1))
    guard guesses > 0, isTypical else { return }
    let time = Double(nanoseconds) / Double(guesses)
    draftTime = draftTime == 0 ? time : draftTime + (min(time, 2 * draftTime) - draftTime) / 8
  }

  /// Takes note of whether a token was as it was, or would have been, guessed.
  func recordGuess(_ confidence: Confidence, isRight: Bool) {
    rates[confidence.index] += ((isRight ? 1 : 0) - rates[confidence.index]) / Self.memory
  }

  /// Takes note of a guess that saved its token a pass.
  ///
  /// - Parameter others: Rows of other sequences in the pass.
  func recordSaving(besides others: Int) {
    let time = times.estimate(rows: others + 1)
    add(time / Double(others + 1), perPass: time)
  }

  /// How many tokens to guess, at most `limit`: as many as save the most time, as far as is known.
  ///
  /// - Parameters:
  ///   - confidence: Of a guess whose number is given, counted from 0, when the ones before it are right.
  ///   - others: Rows of other sequences in the pass.
  func guessCount(
    atMost limit: Int, besides others: Int, _ confidence: (_ index: Int) -> Confidence
  ) -> Int {
    // What a pass takes that is much wider than any before is not known.
    let limit = min(limit, max(others + 2, 2 * times.widest) - others - 1)
    guard let credit, limit > 0 else { return 0 }
    let plain = times.estimate(rows: others + 1)
    var best = (count: 0, gain: 0.0)
    var (probability, saved) = (1.0, 0.0)
    for count in 1...limit {
      let confidence = confidence(count - 1)
      probability *= rates[confidence.index]
      saved += probability * plain / Double(others + 1)
      var cost = times.estimate(rows: others + 1 + count) - plain
      if case .draft = confidence { cost += Double(count) * draftTime }
      guard cost <= credit else { break }
      if saved - cost > best.gain { best = (count, saved - cost) }
      if count == 1, best.count == 0, isWorthTrying(confidence, cost, credit) { best.count = 1 }
    }
    return best.count
  }

  /// Whether to guess one token against what is known: times change, and how good a draft model is shows in no other way.
  private func isWorthTrying(_ confidence: Confidence, _ cost: Double, _ credit: Double) -> Bool {
    guard cost <= credit / 2 else { return false }
    if case .draft = confidence { return true }
    return rates[confidence.index] >= 0.1
  }

  private func add(_ nanoseconds: Double, perPass pass: Double) {
    credit = min((credit ?? pass) + nanoseconds, Self.mostCredit * pass)
  }
}
