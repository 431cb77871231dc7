// UTF8Assembler.swift -- puts characters together from single bytes and says as early as possible that a byte sequence
// is none.

/// A decoder of one byte at a time (WHATWG Encoding, section 8.1.1): a maximal ill-formed part is one U+FFFD, as
/// chapter 3.9 of the Unicode standard recommends.
struct UTF8Assembler {
  private var packed: UInt32 = 0
  private var count = 0
  /// Bytes that the character still lacks.
  private var needed = 0
  /// What the next byte may be.
  private var accepted: ClosedRange<UInt8> = 0x80...0xBF

  /// Whether a character is incomplete.
  var isPending: Bool { needed > 0 }

  /// Whether `byte` continues the incomplete character.
  func accepts(_ byte: UInt8) -> Bool { accepted.contains(byte) }

  /// Drops the incomplete character.
  mutating func reset() { self = UTF8Assembler() }

  /// Takes a byte that is accepted or begins a character.
  ///
  /// - Returns: The character that it completes, U+FFFD when it can begin none, nil when bytes are still needed.
  mutating func push(_ byte: UInt8) -> EncodedScalar? {
    if isPending {
      accepted = 0x80...0xBF
      needed -= 1
    } else {
      switch byte {
      case 0..<0x80: break
      case 0xC2...0xDF: needed = 1
      case 0xE0...0xEF:
        needed = 2
        accepted = (byte == 0xE0 ? 0xA0 : 0x80)...(byte == 0xED ? 0x9F : 0xBF)
      case 0xF0...0xF4:
        needed = 3
        accepted = (byte == 0xF0 ? 0x90 : 0x80)...(byte == 0xF4 ? 0x8F : 0xBF)
      default: return EncodedScalar("\u{FFFD}")
      }
    }
    packed |= UInt32(byte) << UInt32(8 * count)
    count += 1
    guard needed == 0 else { return nil }
    defer { reset() }
    return EncodedScalar(packed: packed, count: count)
  }
}
