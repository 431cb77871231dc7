// NormalizationClass.swift -- what NFKC has to know about single characters and about pairs: the meaning of
// NormalizationTables, and the arithmetic of Hangul.

/// How a Unicode scalar takes part in NFKC.
struct NormalizationClass: BitwiseCopyable {
  private typealias Tables = NormalizationTables

  /// More than every rank.
  static let rankCount = Tables.firstDecomposition / 2

  private let code: UInt16

  /// - Parameter value: A code point; the numbers above stand for characters without properties.
  init(_ value: UInt32) {
    guard value >= 0xA0, value >> 5 < UInt32(Tables.blocks.count) else {
      code = 0
      return
    }
    let block = Tables.blocks[Int(value >> 5)]
    code = UInt16(Tables.codes[block << 5 | Int(value & 0x1F)])
  }

  /// Whether the scalar is its own NFKC and never unites with what stands before it: a text can be normalized in
  /// parts that are cut before such scalars.
  var isStable: Bool { code == 0 || code >= Tables.firstStable }

  /// Of a scalar without a decomposition: whether it is stable, so that nothing from behind passes it either.
  var isInert: Bool { code == 0 }

  /// Of a scalar without a decomposition: the order of its canonical combining class; 0 for a starter.
  var rank: UInt8 { UInt8(truncatingIfNeeded: code >> 1) }

  /// Of a scalar without a decomposition: whether it is the second of a pair that can unite.
  var unitesBackward: Bool { code & 1 != 0 }

  /// The places of the full compatibility decomposition; nil when there is none.
  var decomposition: Range<Int>? {
    guard code >= Tables.firstDecomposition else { return nil }
    let index = Int(code) - Tables.firstDecomposition
    return Tables.decompositionStarts[index]..<Tables.decompositionStarts[index + 1]
  }

  /// The scalar at a place of a decomposition.
  static func decomposedScalar(at place: Int) -> UInt32 { UInt32(Tables.decompositions[place]) }

  /// What two scalars unite to: their primary composite (Unicode 9.0, definition D114).
  static func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if let syllable = hangulSyllable(first, second) { return syllable }
    var low = 0
    var high = Tables.compositions.count / 3
    while low < high {
      let middle = (low + high) / 2
      let key = (UInt32(Tables.compositions[3 * middle]), UInt32(Tables.compositions[3 * middle + 1]))
      if key == (first, second) { return UInt32(Tables.compositions[3 * middle + 2]) }
      if key < (first, second) { low = middle + 1 } else { high = middle }
    }
    return nil
  }

  /// Unicode 9.0, section 3.12: a leading consonant and a vowel, or both and a trailing consonant.
  private static func hangulSyllable(_ first: UInt32, _ second: UInt32) -> UInt32? {
    switch (first, second) {
    case (0x1100...0x1112, 0x1161...0x1175): 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28
    case (0xAC00...0xD7A3, 0x11A8...0x11C2) where (first - 0xAC00) % 28 == 0: first + (second - 0x11A7)
    default: nil
    }
  }
}
