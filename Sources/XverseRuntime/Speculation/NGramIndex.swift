// NGramIndex.swift -- finds where the last tokens of a growing text stood before, in constant time a token.

import XverseCore

/// For each n-gram of a text, the place where it occurred last.
///
/// A hash table of places, 8 to 16 bytes for each token of the text. The tokens themselves stay in the text, and a place
/// is compared with it before it counts. No more than `probeCount` slots are looked at, whatever the tokens: where all of
/// them belong to other n-grams, the oldest place is forgotten.
struct NGramIndex: ~Copyable {
  /// Tokens in an n-gram.
  let size: Int
  /// A power of two. The number of tokens up to the end of an n-gram; 0: a free slot.
  private var slots: Buffer<Int32>

  private static var probeCount: Int { 8 }

  init(size: Int, allocator: MemoryAllocator) {
    self.size = size
    slots = Buffer(allocator: allocator)
  }

  /// Adds the last n-gram of a text, whose earlier ones were added one by one.
  ///
  /// - Returns: The number of tokens up to the end of the latest earlier occurrence; nil when there is none.
  /// - Throws: `outOfMemory`; nothing was added.
  mutating func add(_ text: UnsafeBufferPointer<Int32>) throws(XverseError) -> Int? {
    guard text.count >= size, let end = Int32(exactly: text.count) else { return nil }
    if 2 * text.count > slots.count { try grow(text) }
    return Self.insert(end, text, size, into: slots.mutableElements)
  }

  private mutating func grow(_ text: UnsafeBufferPointer<Int32>) throws(XverseError) {
    let larger = try Buffer<Int32>(repeating: 0, count: max(64, 2 * slots.count), allocator: slots.allocator)
    for end in size..<text.count {
      _ = Self.insert(Int32(truncatingIfNeeded: end), text, size, into: larger.mutableElements)
    }
    slots = larger
  }

  /// Puts a place into the table; returns the one of the same n-gram that it replaces.
  private static func insert(
    _ end: Int32, _ text: UnsafeBufferPointer<Int32>, _ size: Int, into slots: UnsafeMutableBufferPointer<Int32>
  ) -> Int? {
    let tokens = text[(Int(end) - size)..<Int(end)]
    var hash: UInt64 = 0
    for token in tokens { hash = (hash ^ UInt64(truncatingIfNeeded: token)) &* 0x9E37_79B9_7F4A_7C15 }
    let first = Int(truncatingIfNeeded: hash >> 32)
    var chosen = first & (slots.count - 1)
    for probe in 0..<probeCount {
      let slot = (first + probe) & (slots.count - 1)
      let place = Int(slots[slot])
      if place > 0, text[(place - size)..<place].elementsEqual(tokens) {
        slots[slot] = end
        return place
      }
      if slots[slot] < slots[chosen] { chosen = slot }
      if place == 0 { break }
    }
    slots[chosen] = end
    return nil
  }
}
