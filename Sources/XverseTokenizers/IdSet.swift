// IdSet.swift -- a set of token ids, one bit for each id up to the highest member.

import XverseCore

struct IdSet: ~Copyable {
  private var words: Buffer<UInt64>

  init(allocator: MemoryAllocator) { words = Buffer(allocator: allocator) }

  var isEmpty: Bool { words.isEmpty }

  func contains(_ id: Int32) -> Bool {
    guard id >= 0, Int(id) / 64 < words.count else { return false }
    return words[Int(id) / 64] >> UInt64(id % 64) & 1 != 0
  }

  mutating func insert(_ id: Int32) throws(XverseError) {
    precondition(id >= 0, "id \(id)")
    while words.count <= Int(id) / 64 { try words.append(0) }
    words[Int(id) / 64] |= 1 << UInt64(id % 64)
  }
}
