// Checksum.swift -- 64 bits that tell whether bytes are still those that were written, at the speed of memory. It guards
// against accidents; whoever wants to can make other bytes with the same sum.

/// The checksum of bytes, 8 words at a time, each of which goes through a lane of its own.
///
/// A step of a lane maps its state one to one for a given word, and words one to one for a given state, and so does each
/// step of the final fold. So two contents of one length that differ in one word only never have the same sum.
package enum Checksum {
  /// Odd: multiplying by it modulo 2^64 is one to one. The fractional part of the golden ratio.
  private static let factor: UInt64 = 0x9E37_79B9_7F4A_7C15

  /// - Parameter seed: The checksum of what stands before: pieces then have one sum together, which any of them changes.
  package static func of(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
    var (a, b, c, d) = (seed, 1 as UInt64, 2 as UInt64, 3 as UInt64)
    var (e, f, g, h) = (4 as UInt64, 5 as UInt64, 6 as UInt64, 7 as UInt64)
    var offset = 0
    while bytes.count - offset >= 64 {
      a = step(a, word(bytes, offset))
      b = step(b, word(bytes, offset + 8))
      c = step(c, word(bytes, offset + 16))
      d = step(d, word(bytes, offset + 24))
      e = step(e, word(bytes, offset + 32))
      f = step(f, word(bytes, offset + 40))
      g = step(g, word(bytes, offset + 48))
      h = step(h, word(bytes, offset + 56))
      offset += 64
    }
    while bytes.count - offset >= 8 {
      a = step(a, word(bytes, offset))
      offset += 8
    }
    if offset < bytes.count {
      var last: UInt64 = 0
      withUnsafeMutableBytes(of: &last) { $0.copyBytes(from: bytes[offset...]) }
      a = step(a, UInt64(littleEndian: last))
    }
    let evens = step(step(step(step(UInt64(bytes.count), a), b), c), d)
    return step(step(step(step(evens, e), f), g), h)
  }

  @inline(__always)
  private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inline(__always)
  private static func step(_ state: UInt64, _ word: UInt64) -> UInt64 {
    let product = (state ^ word) &* factor
    // The high bits, which all bits of the word reach, into the low ones: also one to one.
    return product ^ product >> 32
  }
}
