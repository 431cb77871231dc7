// RepetitionPenalty.swift -- the second processor: tokens that stand in prompt or output become less likely.

import XverseCore

/// Divides a positive and multiplies a negative logit by the penalty, once for each distinct token of the window.
///
/// Source: CTRL (Keskar et al. 2019, section 4.1) as changed by Hugging Face's `RepetitionPenaltyLogitsProcessor`.
final class RepetitionPenalty: LogitsProcessor {
  private let penalty: Float
  /// The last tokens of prompt and output.
  private(set) var window: TokenWindow
  private let allocator: MemoryAllocator

  /// - Parameter windowSize: The number of tokens that the penalty looks back at; 0 is all of them.
  init(
    _ penalty: Float, windowSize: Int, vocabularySize: Int, allocator: MemoryAllocator
  ) throws(XverseError) {
    self.penalty = penalty
    self.allocator = allocator
    window = try TokenWindow(size: windowSize, vocabularySize: vocabularySize, allocator: allocator)
  }

  private init(copying other: RepetitionPenalty) throws(XverseError) {
    penalty = other.penalty
    allocator = other.allocator
    window = try TokenWindow(copying: other.window, allocator: other.allocator)
  }

  func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    for token in window.counts.distinct {
      let logit = logits[Int(token)]
      logits[Int(token)] = logit < 0 ? logit * penalty : logit / penalty
    }
  }

  func prepareToAccept(_ token: Int32, isGenerated: Bool) throws(XverseError) { try window.reserveOne() }

  func accept(_ token: Int32, isGenerated: Bool) { window.add(token) }

  func clone() throws(XverseError) -> any LogitsProcessor { try RepetitionPenalty(copying: self) }
}
