// LogitBias.swift -- the first processor: what the caller adds to single logits.

import XverseCore

/// Adds each bias to its token's logit; several of one token add up.
final class LogitBias: LogitsProcessor {
  private let biases: [(token: Int32, bias: Float)]

  /// - Parameter biases: Their tokens must be inside the vocabulary.
  init(_ biases: [(token: Int32, bias: Float)]) {
    self.biases = biases
  }

  func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    for (token, bias) in biases { logits[Int(token)] += bias }
  }

  /// Returns itself: it has no mutable state.
  func clone() -> any LogitsProcessor { self }
}
