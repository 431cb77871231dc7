// UTF8Scalar+Text.swift -- walking through text that may hold bytes which are not UTF-8: such a byte is a character of
// its own that has no scalar.

import XverseCore

extension UTF8Scalar {
  /// Length of the well-formed scalar at `position`, or 1 for a byte that is part of none.
  @inline(__always)
  static func characterLength(in bytes: UnsafeRawBufferPointer, at position: Int) -> Int {
    length(in: bytes, at: position) ?? 1
  }

  /// The well-formed scalar at `position`; nil when there is none or the text ends.
  static func scalar(in bytes: UnsafeRawBufferPointer, at position: Int) -> Unicode.Scalar? {
    guard position < bytes.count, let length = length(in: bytes, at: position) else { return nil }
    return Unicode.Scalar(value(in: bytes, at: position, length: length))
  }

  /// The well-formed scalar that ends before `position`, and its length.
  static func scalar(
    in bytes: UnsafeRawBufferPointer, endingAt position: Int
  ) -> (scalar: Unicode.Scalar, length: Int)? {
    for count in 1...4 where count <= position {
      if length(in: bytes, at: position - count) == count, let scalar = scalar(in: bytes, at: position - count) {
        return (scalar, count)
      }
    }
    return nil
  }

  /// Whether all of the bytes are well-formed UTF-8.
  static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var position = 0
    while position < bytes.count {
      guard let length = length(in: bytes, at: position) else { return false }
      position += length
    }
    return true
  }
}
