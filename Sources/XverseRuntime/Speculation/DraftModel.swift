// DraftModel.swift -- a smaller model with the same tokens, which guesses what the model of a session would choose.

import XverseCore
import XverseLoading
import XverseTensors

/// A draft model with the keys and values of what it has read.
///
/// It takes its most probable token each time. A proposal without chance is accepted with the probability that the model
/// of the session gives it.
///
/// Threads: one owner at a time.
package final class DraftModel {
  private let session: Session
  private let vocabularySize: Int
  /// Tokens of its session that are known to be those of the text.
  private var agreedCount = 0
  /// Whether it has read the beginning of the text.
  private var hasBegun = false

  /// - Parameters:
  ///   - context: Most tokens; nil for the draft model's own. It does not guess beyond.
  ///   - target: The model that decides.
  /// - Throws: `mismatch` when the two have different tokens; `misuse` for a model without weights; `outOfMemory`.
  package init(
    _ model: LoadedModel, for target: LoadedModel, _ runtime: Runtime, context: Int? = nil,
    cacheElement: KVElement = .float32
  ) throws(XverseError) {
    try model.requireSameTokens(as: target)
    session = try Session(model, runtime, context: context, cacheElement: cacheElement)
    vocabularySize = min(model.configuration.vocabularySize, target.configuration.vocabularySize)
  }

  /// Begins another text: what it shares with the one before is not read again.
  func begin() {
    agreedCount = 0
    hasBegun = false
  }

  /// Appends guesses to a text of which only the end has changed since the last call: fewer, where its context ends.
  ///
  /// - Returns: Nanoseconds that it took, without the first reading of the text; and whether that was for guesses alone, so
  ///   that as many take as long again.
  /// - Throws: What evaluation throws.
  func `continue`(
    _ text: inout Buffer<Int32>, by count: Int, cancellation: Cancellation?
  ) throws(XverseError) -> (nanoseconds: Int64, isTypical: Bool) {
    let number = min(count, session.context - text.count)
    guard number > 0 else { return (0, false) }
    let held = session.tokens
    while agreedCount < min(held.count, text.count - 1), held[agreedCount] == text[agreedCount] { agreedCount += 1 }
    session.truncate(to: agreedCount)
    // Its own last guess, and the token that was chosen behind it.
    let isTypical = text.count - agreedCount <= 2
    var begin = MonotonicClock.now
    try session.evaluate(UnsafeBufferPointer(rebasing: text.elements[agreedCount...]), cancellation: cancellation)
    if !hasBegun { begin = MonotonicClock.now }
    hasBegun = true
    agreedCount = text.count
    for index in 0..<number {
      guard let logits = session.logits, let token = indexOfLargest(logits), token < vocabularySize else { break }
      try text.append(Int32(truncatingIfNeeded: token))
      if index + 1 < number {
        try session.evaluate(UnsafeBufferPointer(rebasing: text.elements.suffix(1)), cancellation: cancellation)
      }
    }
    return (MonotonicClock.now - begin, isTypical)
  }
}
