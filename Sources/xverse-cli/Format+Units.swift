// Format+Units.swift -- quantities for people.

import XverseMeasurement

extension Format {
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

  /// "0.35 s", "8.2 s", "2 min 5 s", "3 h 12 min"
  static func duration(_ seconds: Double) -> String {
    if seconds < 10 { return "\(fixed(max(0, seconds), seconds < 1 ? 2 : 1)) s" }
    // More than a year is no estimate.
    let seconds = Int(min(seconds, 366 * 86400).rounded())
    if seconds < 60 { return "\(seconds) s" }
    if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
    return "\(seconds / 3600) h \(seconds / 60 % 60) min"
  }
}
