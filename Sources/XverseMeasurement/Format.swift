// Format.swift -- numbers for people.

import Glibc

package enum Format {
  /// `value` with `digits` digits after the point.
  package static func fixed(_ value: Double, _ digits: Int) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
      let written = withVaList([Int32(digits), value]) { vsnprintf(buffer.baseAddress, buffer.count, "%.*f", $0) }
      return String(decoding: UnsafeRawBufferPointer(buffer).prefix(Int(written)), as: UTF8.self)
    }
  }

  /// Three or four significant digits: "0.123", "12.3", "1234"; "-" for what is no finite number.
  package static func short(_ value: Double) -> String {
    if !value.isFinite { return "-" }
    return fixed(value, value.magnitude < 1 ? 3 : value.magnitude < 10 ? 2 : value.magnitude < 1000 ? 1 : 0)
  }

  /// As short as it is exact: "2", "0.5".
  package static func plain(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }

  /// `text` followed by spaces up to `width` characters.
  package static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// Spaces up to `width` characters, then `text`.
  package static func rightAligned(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
