// TextPiece.swift -- a stretch of text on its way from the caller to the model.

import XverseCore

/// Bytes of a buffer that outlives the piece. They need not be UTF-8.
struct TextPiece {
  var bytes: UnsafeRawBufferPointer
  /// How many of the first bytes stand for the very first character of the caller's text: more than that character's
  /// own bytes after something was prepended, none in every piece further back. Metaspace asks for it ("first").
  var leadingCount: Int

  /// The caller's text as a whole.
  init(text: UnsafeRawBufferPointer) {
    bytes = text
    leadingCount = text.isEmpty ? 0 : UTF8Scalar.characterLength(in: text, at: 0)
  }

  init(bytes: UnsafeRawBufferPointer, leadingCount: Int) {
    self.bytes = bytes
    self.leadingCount = leadingCount
  }

  subscript(range: Range<Int>) -> TextPiece {
    TextPiece(
      bytes: UnsafeRawBufferPointer(rebasing: bytes[range]),
      leadingCount: leading(in: range))
  }

  /// How many bytes of `range` are among the leading ones.
  func leading(in range: Range<Int>) -> Int { max(0, min(leadingCount, range.upperBound) - range.lowerBound) }
}
