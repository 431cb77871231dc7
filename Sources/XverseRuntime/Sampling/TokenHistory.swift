// TokenHistory.swift -- what the penalties need to know of the tokens so far, and no more: a table exists only for a
// penalty that is on.

import XverseCore

/// The tokens that the repetition penalty looks at, and those that were generated.
struct TokenHistory: ~Copyable {
  /// Tokens of prompt and output inside the window; empty unless repetition is penalized.
  private(set) var recent: TokenCounts
  /// Tokens of the output; empty unless occurrence is penalized.
  private(set) var generated: TokenCounts
  private let tracksRecent: Bool
  private let tracksGenerated: Bool
  /// The last `windowSize` tokens as a ring whose oldest is at `oldest`; unused without a window.
  private var ring: Buffer<Int32>
  private var oldest = 0
  private let windowSize: Int

  init(
    for parameters: SamplingParameters, vocabularySize: Int, allocator: MemoryAllocator
  ) throws(XverseError) {
    tracksRecent = parameters.penalizesRepetition
    tracksGenerated = parameters.penalizesOccurrence
    windowSize = parameters.repeatLastN
    let recent = try TokenCounts(vocabularySize: tracksRecent ? vocabularySize : 0, allocator: allocator)
    let generated = try TokenCounts(vocabularySize: tracksGenerated ? vocabularySize : 0, allocator: allocator)
    self.recent = recent
    self.generated = generated
    ring = Buffer(allocator: allocator)
  }

  init(copying other: borrowing TokenHistory, allocator: MemoryAllocator) throws(XverseError) {
    tracksRecent = other.tracksRecent
    tracksGenerated = other.tracksGenerated
    windowSize = other.windowSize
    let recent = try TokenCounts(copying: other.recent, allocator: allocator)
    let generated = try TokenCounts(copying: other.generated, allocator: allocator)
    var ring = Buffer<Int32>(allocator: allocator)
    try ring.append(contentsOf: other.ring.elements)
    self.recent = recent
    self.generated = generated
    self.ring = ring
    oldest = other.oldest
  }

  /// Adds a token, which must be inside the vocabulary. Amortized O(1); after an error nothing was added.
  mutating func append(_ token: Int32, isGenerated: Bool) throws(XverseError) {
    let countsGenerated = tracksGenerated && isGenerated
    if tracksRecent { try recent.reserveOne() }
    if countsGenerated { try generated.reserveOne() }
    if tracksRecent {
      if windowSize > 0 { try slideWindow(over: token) }
      try recent.add(token)
    }
    if countsGenerated { try generated.add(token) }
  }

  private mutating func slideWindow(over token: Int32) throws(XverseError) {
    if ring.count < windowSize {
      try ring.append(token)
      return
    }
    recent.remove(ring[oldest])
    ring[oldest] = token
    oldest = oldest + 1 == windowSize ? 0 : oldest + 1
  }
}
