// Format.swift -- numbers for people.

import Glibc

enum Format {
  /// `value` with `digits` digits after the point.
  static func fixed(_ value: Double, _ digits: Int) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
      let written = withVaList([Int32(digits), value]) { vsnprintf(buffer.baseAddress, buffer.count, "%.*f", $0) }
      return String(decoding: UnsafeRawBufferPointer(buffer).prefix(Int(written)), as: UTF8.self)
    }
  }

  /// "2", "0.5"
  static func plain(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }

  /// Three or four significant digits: "0.123", "12.3", "1234".
  static func short(_ value: Double) -> String {
    if !value.isFinite { return "-" }
    return fixed(value, value.magnitude < 1 ? 3 : value.magnitude < 10 ? 2 : value.magnitude < 1000 ? 1 : 0)
  }

  /// Things a second: "12.4", or "-" when the time was too short to tell.
  static func rate(_ count: Int64, nanoseconds: Int64) -> String {
    count > 0 && nanoseconds > 0 ? short(Double(count) / Double(nanoseconds) * 1e9) : "-"
  }

  /// "1,234,567"
  static func grouped(_ value: Int) -> String {
    let digits = Array(String(value.magnitude))
    var result = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { result += "," }
      result.append(digit)
    }
    return result
  }

  /// "2.46 GiB", "731 bytes"
  static func bytes(_ count: Int) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"]
    var value = Double(count)
    var unit = "bytes"
    for next in units where value >= 1024 {
      value /= 1024
      unit = next
    }
    return (unit == "bytes" ? "\(count)" : short(value)) + " " + unit
  }

  /// `text` followed by spaces up to `width` characters.
  static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// Spaces up to `width` characters, then `text`.
  static func rightAligned(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
