// ByteLevel.swift -- the GPT-2 way: words are found by a fixed pattern, then every byte becomes a printable character.
// The pattern is matched by a scanner written by hand: linear, without recursion, whatever the text.

import XverseCore

/// The ByteLevel pre-tokenizer.
struct ByteLevel {
  let addsPrefixSpace: Bool
  let usesPattern: Bool

  init(_ file: FileValue) throws(XverseError) {
    try file.allowKeys(["type", "add_prefix_space", "trim_offsets", "use_regex"])
    addsPrefixSpace = try file.bool("add_prefix_space")
    usesPattern = try file.bool("use_regex", default: true)
    // Offsets are not part of this library's results; only the type is checked.
    _ = try file.bool("trim_offsets", default: true)
  }

  func split(
    _ piece: TextPiece, scratch: PreTokenizer.StepScratch, _ emit: (TextPiece) throws(XverseError) -> Void
  ) throws(XverseError) {
    var piece = piece
    if addsPrefixSpace && piece.bytes[0] != UInt8(ascii: " ") {
      scratch.text.removeAll()
      try scratch.text.append(UInt8(ascii: " "))
      try scratch.text.append(bytes: piece.bytes)
      piece = TextPiece(
        bytes: UnsafeRawBufferPointer(scratch.text.elements),
        leadingCount: piece.leadingCount > 0 ? piece.leadingCount + 1 : 0)
    }
    guard usesPattern else { return try emit(Self.mapped(piece, into: &scratch.piece)) }
    var scanner = WordScanner(piece.bytes)
    while let word = scanner.next() {
      try emit(Self.mapped(piece[word], into: &scratch.piece))
    }
  }

  /// Writes the characters of the bytes.
  private static func mapped(_ piece: TextPiece, into buffer: inout Buffer<UInt8>) throws(XverseError) -> TextPiece {
    buffer.removeAll()
    var leadingCount = 0
    for position in piece.bytes.indices {
      try ByteAlphabet.append(piece.bytes[position], to: &buffer)
      if position < piece.leadingCount { leadingCount = buffer.count }
    }
    return TextPiece(bytes: UnsafeRawBufferPointer(buffer.elements), leadingCount: leadingCount)
  }
}

/// The printable characters that stand for the 256 bytes: a printable byte of Latin-1 for itself, the others in order
/// from U+0100 on (GPT-2, encoder.py, bytes_to_unicode).
enum ByteAlphabet {
  private static let scalars: [UInt16] = {
    var next: UInt16 = 0x100
    return (UInt16(0)...255).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
      default:
        defer { next += 1 }
        return next
      }
    }
  }()

  private static let bytes: [UInt32: UInt8] = {
    var bytes: [UInt32: UInt8] = [:]
    for (byte, scalar) in scalars.enumerated() { bytes[UInt32(scalar)] = UInt8(byte) }
    return bytes
  }()

  /// Appends the UTF-8 form of the byte's character.
  static func append(_ byte: UInt8, to buffer: inout Buffer<UInt8>) throws(XverseError) {
    let scalar = scalars[Int(byte)]
    if scalar < 0x80 { return try buffer.append(UInt8(scalar)) }
    try buffer.append(0xC0 | UInt8(scalar >> 6))
    try buffer.append(0x80 | UInt8(scalar & 0x3F))
  }

  /// The byte that a character stands for.
  static func byte(of scalar: Unicode.Scalar) -> UInt8? { bytes[scalar.value] }
}

/// Finds the matches of the GPT-2 pattern, which leaves no byte out:
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// A byte that is not UTF-8 counts as a character of the third class.
struct WordScanner {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func next() -> Range<Int>? {
    guard position < bytes.count else { return nil }
    let start = position
    if let length = contractionLength {
      position += length
    } else if wordClass(at: start) != .whitespace {
      skipRun()
    } else if bytes[start] == UInt8(ascii: " "), start + 1 < bytes.count, wordClass(at: start + 1) != .whitespace {
      position += 1
      skipRun()
    } else {
      skipWhitespace()
    }
    return start..<position
  }

  /// Length of the English contraction at the position.
  private var contractionLength: Int? {
    guard bytes[position] == UInt8(ascii: "'"), position + 1 < bytes.count else { return nil }
    let second = bytes[position + 1]
    switch second {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"), UInt8(ascii: "l"):
      let last = second == UInt8(ascii: "l") ? second : UInt8(ascii: "e")
      return position + 2 < bytes.count && bytes[position + 2] == last ? 3 : nil
    default: return nil
    }
  }

  /// Moves past the longest run of characters of the class at the position.
  private mutating func skipRun() {
    let runClass = wordClass(at: position)
    repeat {
      position += UTF8Scalar.characterLength(in: bytes, at: position)
    } while position < bytes.count && wordClass(at: position) == runClass
  }

  /// Moves past a run of white space, but for its last character when a word follows: that one belongs to the word.
  private mutating func skipWhitespace() {
    let start = position
    var last = position
    while position < bytes.count, wordClass(at: position) == .whitespace {
      last = position
      position += UTF8Scalar.characterLength(in: bytes, at: position)
    }
    if position < bytes.count && last > start { position = last }
  }

  private func wordClass(at position: Int) -> Unicode.Scalar.WordClass {
    UTF8Scalar.scalar(in: bytes, at: position)?.wordClass ?? .other
  }
}
