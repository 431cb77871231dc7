// JSON.swift -- JSON as a value: reads what the library reports, writes what `--json` prints.

enum JSON: Sendable {
  case null
  case bool(Bool)
  /// A number as it is written, so that 64-bit integers stay exact.
  case number(String)
  case string(String)
  case array([JSON])
  /// Members in the order of the text.
  case object([(key: String, value: JSON)])

  static func integer(_ value: some BinaryInteger) -> JSON { .number("\(value)") }

  /// A number; one that JSON cannot express becomes null.
  static func real(_ value: Double) -> JSON { value.isFinite ? .number("\(value)") : .null }

  /// The member `key` of an object; null where there is none.
  subscript(key: String) -> JSON {
    guard case .object(let members) = self else { return .null }
    return members.first { $0.key == key }?.value ?? .null
  }

  var stringValue: String? {
    guard case .string(let value) = self else { return nil }
    return value
  }

  var integerValue: Int? {
    guard case .number(let literal) = self else { return nil }
    return Int(literal)
  }

  var boolValue: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  // MARK: Writing

  var text: String {
    switch self {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .number(let literal): literal
    case .string(let value): Self.quoted(value)
    case .array(let elements): "[" + elements.map(\.text).joined(separator: ", ") + "]"
    case .object(let members):
      "{" + members.map { Self.quoted($0.key) + ": " + $0.value.text }.joined(separator: ", ") + "}"
    }
  }

  /// `value` between quotation marks, control characters escaped.
  static func quoted(_ value: String) -> String {
    var result = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
