// ByteLevel.swift -- the GPT-2 way: words are found by a fixed pattern, then every byte becomes a printable character.

import XverseCore

/// The ByteLevel pre-tokenizer.
struct ByteLevel {
  let addsPrefixSpace: Bool
  /// What cuts the text; nil: it stays whole.
  let pattern: WordPattern?

  init(pattern: WordPattern?) {
    addsPrefixSpace = false
    self.pattern = pattern
  }

  init(_ file: FileValue) throws(XverseError) {
    file.expectKeys(["type", "add_prefix_space", "trim_offsets", "use_regex"])
    addsPrefixSpace = try file.bool("add_prefix_space")
    pattern = try file.bool("use_regex", default: true) ? .gpt2 : nil
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
    guard let pattern else { return try emit(Self.mapped(piece, into: &scratch.piece)) }
    try pattern.forEachWord(of: piece) { (word) throws(XverseError) in
      try emit(Self.mapped(word, into: &scratch.piece))
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
