// EncodedScalar.swift -- the UTF-8 form of one Unicode scalar as a plain value, for the rules that look for a single
// character in bytes.

/// One to four UTF-8 bytes.
struct EncodedScalar: BitwiseCopyable, Equatable {
  private let packed: UInt32
  let count: Int

  init(_ scalar: Unicode.Scalar) {
    var packed: UInt32 = 0
    var count = 0
    for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
      packed |= UInt32(byte) << UInt32(8 * count)
      count += 1
    }
    self.packed = packed
    self.count = count
  }

  /// - Parameter packed: The bytes of a scalar, the first one lowest.
  init(packed: UInt32, count: Int) {
    self.packed = packed
    self.count = count
  }

  subscript(index: Int) -> UInt8 { UInt8(truncatingIfNeeded: packed >> UInt32(8 * index)) }

  /// Whether the scalar stands at `position`.
  func matches(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
    guard bytes.count - position >= count else { return false }
    for i in 0..<count where bytes[position + i] != self[i] { return false }
    return true
  }
}
