// UTF8Scalar.swift -- checked decoding of single UTF-8 scalars from bytes of unknown origin.

/// One Unicode scalar at a place in a byte string (Unicode 15, table 3-7: no overlong forms, no surrogates).
@usableFromInline package enum UTF8Scalar {
  /// Length in bytes, 1 to 4, of the well-formed scalar at `position`; nil when there is none.
  @inlinable package static func length(in bytes: UnsafeRawBufferPointer, at position: Int) -> Int? {
    let lead = bytes[position]
    if lead < 0x80 { return 1 }
    let available = bytes.count - position
    func continues(_ i: Int) -> Bool { bytes[position + i] & 0xC0 == 0x80 }
    switch lead {
    case 0xC2...0xDF:
      return available >= 2 && continues(1) ? 2 : nil
    case 0xE0...0xEF:
      guard available >= 3, continues(1), continues(2) else { return nil }
      let second = bytes[position + 1]
      if lead == 0xE0 && second < 0xA0 || lead == 0xED && second > 0x9F { return nil }
      return 3
    case 0xF0...0xF4:
      guard available >= 4, continues(1), continues(2), continues(3) else { return nil }
      let second = bytes[position + 1]
      if lead == 0xF0 && second < 0x90 || lead == 0xF4 && second > 0x8F { return nil }
      return 4
    default: return nil
    }
  }

  /// The scalar of `length` bytes at `position`, which `length(in:at:)` has accepted.
  @inlinable package static func value(in bytes: UnsafeRawBufferPointer, at position: Int, length: Int) -> UInt32 {
    let lead = UInt32(bytes[position])
    func tail(_ i: Int) -> UInt32 { UInt32(bytes[position + i] & 0x3F) }
    switch length {
    case 1: return lead
    case 2: return (lead & 0x1F) << 6 | tail(1)
    case 3: return (lead & 0x0F) << 12 | tail(1) << 6 | tail(2)
    default: return (lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3)
    }
  }
}
