// TokenWindow.swift -- how often each token occurs among the last tokens of a sequence.

import XverseCore

/// The last tokens of a sequence, counted.
struct TokenWindow: ~Copyable {
  private(set) var counts: TokenCounts
  /// The last `size` tokens as a ring whose oldest is at `oldest`; empty without a limit.
  private var ring: Buffer<Int32>
  private var oldest = 0
  private let size: Int

  /// - Parameter size: The number of tokens that count; 0 is all of them.
  init(size: Int, vocabularySize: Int, allocator: MemoryAllocator) throws(XverseError) {
    self.size = size
    counts = try TokenCounts(vocabularySize: vocabularySize, allocator: allocator)
    ring = Buffer(allocator: allocator)
  }

  init(copying other: borrowing TokenWindow, allocator: MemoryAllocator) throws(XverseError) {
    let counts = try TokenCounts(copying: other.counts, allocator: allocator)
    var ring = Buffer<Int32>(allocator: allocator)
    try ring.append(contentsOf: other.ring.elements)
    self.counts = counts
    self.ring = ring
    oldest = other.oldest
    size = other.size
  }

  /// Reserves memory for the next `add`. Amortized O(1).
  mutating func reserveOne() throws(XverseError) {
    try counts.reserveOne()
    if ring.count < size { try ring.reserve(ring.count + 1) }
  }

  /// Adds a token inside the vocabulary, after `reserveOne`; a full window drops its oldest token. O(1).
  mutating func add(_ token: Int32) {
    if ring.count < size {
      ring.appendReserved(token)
    } else if size > 0 {
      counts.remove(ring[oldest])
      ring[oldest] = token
      oldest = oldest + 1 == size ? 0 : oldest + 1
    }
    counts.add(token)
  }
}
