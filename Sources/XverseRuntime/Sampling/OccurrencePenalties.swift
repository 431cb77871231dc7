// OccurrencePenalties.swift -- the third processor: generated tokens lose a fixed amount, and an amount for each
// occurrence.

import XverseCore

/// logit -= count * frequency + presence, for each distinct generated token; the prompt does not count.
///
/// Source: OpenAI's API reference, `frequency_penalty` and `presence_penalty`.
final class OccurrencePenalties: LogitsProcessor {
  private let frequency: Float
  private let presence: Float
  private(set) var generated: TokenCounts
  private let allocator: MemoryAllocator

  init(
    frequency: Float, presence: Float, vocabularySize: Int, allocator: MemoryAllocator
  ) throws(XverseError) {
    self.frequency = frequency
    self.presence = presence
    self.allocator = allocator
    generated = try TokenCounts(vocabularySize: vocabularySize, allocator: allocator)
  }

  private init(copying other: OccurrencePenalties) throws(XverseError) {
    frequency = other.frequency
    presence = other.presence
    allocator = other.allocator
    generated = try TokenCounts(copying: other.generated, allocator: other.allocator)
  }

  func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    let distinct = generated.distinct
    let counts = generated.counts
    for index in distinct.indices {
      logits[Int(distinct[index])] -= Float(counts[index]) * frequency + presence
    }
  }

  func prepareToAccept(_ token: Int32, isGenerated: Bool) throws(XverseError) {
    if isGenerated { try generated.reserveOne() }
  }

  func accept(_ token: Int32, isGenerated: Bool) {
    if isGenerated { generated.add(token) }
  }

  func clone() throws(XverseError) -> any LogitsProcessor { try OccurrencePenalties(copying: self) }
}
