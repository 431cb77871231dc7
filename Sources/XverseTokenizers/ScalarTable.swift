// ScalarTable.swift -- the tokens that are a single character, by code point: the first look-up of every character of
// a text.

import XverseCore

/// Code points to ids, in pages of 256. Memory: 17 KiB, and 1 KiB a page that is in use.
struct ScalarTable: ~Copyable {
  static let absent: Int32 = -1
  private static let free: Int32 = -1

  /// Where the page of `value >> 8` begins in `ids`.
  private var pages: Buffer<Int32>
  private var ids: Buffer<Int32>

  init(allocator: MemoryAllocator) throws(XverseError) {
    let pages = try Buffer(repeating: Self.free, count: 0x1100, allocator: allocator)
    self.pages = pages
    ids = Buffer(allocator: allocator)
  }

  mutating func insert(_ scalar: Unicode.Scalar, id: Int32) throws(XverseError) {
    let page = Int(scalar.value >> 8)
    if pages[page] == Self.free {
      pages[page] = Int32(ids.count)
      try ids.reserve(ids.count + 256)
      for _ in 0..<256 { try ids.append(Self.absent) }
    }
    ids[Int(pages[page]) + Int(scalar.value & 0xFF)] = id
  }

  /// The id of the character with code point `value`, at most 0x10FFFF.
  subscript(value: UInt32) -> Int32 {
    let page = pages[Int(value >> 8)]
    return page == Self.free ? Self.absent : ids[Int(page) + Int(value & 0xFF)]
  }
}
