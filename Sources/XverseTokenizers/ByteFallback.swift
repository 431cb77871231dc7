// ByteFallback.swift -- the tokens that stand for single bytes, for characters that have no token of their own.

import XverseCore

/// The tokens `<0x00>` to `<0xFF>`, as far as the vocabulary has them.
struct ByteFallback: ~Copyable {
  private static let absent: Int32 = -1
  private var ids: Buffer<Int32>

  init(allocator: MemoryAllocator) throws(XverseError) {
    ids = try Buffer(repeating: Self.absent, count: 256, allocator: allocator)
  }

  mutating func set(_ byte: UInt8, id: Int32) { ids[Int(byte)] = id }

  /// Whether each of the bytes has a token.
  func covers(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
    for byte in bytes where ids[Int(byte)] == Self.absent { return false }
    return true
  }

  /// The token of a byte that is covered.
  subscript(byte: UInt8) -> Int32 { ids[Int(byte)] }
}
