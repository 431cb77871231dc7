// Schedule+Invariants.swift -- what holds between two steps.

import XverseCore

extension Schedule {
  /// - Throws: `internal` for a schedule that contradicts itself.
  func checkInvariants() throws(XverseError) {
    func require(_ holds: Bool, _ words: @autoclosure () -> String) throws(XverseError) {
      if !holds { throw XverseError(.internal, words()) }
    }
    try require(running.count <= settings.maximumSequences, "\(running.count) answers run")
    for answer in waiting {
      try require(
        answer.state == .waiting && answer.sequence == nil && answer.leader == nil, "\(answer.id) waits in part")
    }
    for answer in running {
      guard answer.state == .running, let sequence = answer.sequence else {
        throw XverseError(.internal, "\(answer.id) runs in part")
      }
      try require(
        sequence.length == sequence.cache.length,
        "\(answer.id) has \(sequence.length) tokens of \(sequence.cache.length)")
      try require(sequence.length < answer.tokens.count, "\(answer.id) has nothing to evaluate")
      try require(answer.tokens.starts(with: sequence.tokens), "\(answer.id) evaluated other tokens")
    }
    for (one, other) in zip(running, running.dropFirst()) { try require(one.precedes(other), "the order of \(one.id)") }
    try prefixes?.checkInvariants()
  }
}
