// JSONWriter.swift -- writes JSON texts for build_info and model_inspect.

/// Builds a JSON text piece by piece; commas are its business, matching begin and end is the caller's.
package struct JSONWriter {
  package private(set) var text = ""
  private var needsComma = false

  package init() {}

  package mutating func beginObject(_ key: String? = nil) { open("{", key) }
  package mutating func endObject() { close("}") }
  package mutating func beginArray(_ key: String? = nil) { open("[", key) }
  package mutating func endArray() { close("]") }

  package mutating func write(_ value: String, _ key: String? = nil) { put(Self.quoted(value), key) }
  package mutating func write(_ value: Int, _ key: String? = nil) { put(String(value), key) }
  package mutating func write(_ value: Bool, _ key: String? = nil) { put(value ? "true" : "false", key) }

  /// Writes a number; one that JSON cannot express becomes null.
  package mutating func write(_ value: Double, _ key: String? = nil) { put(value.isFinite ? "\(value)" : "null", key) }

  /// The shortest decimal that is read back as the same `Float`.
  package mutating func writeNull(_ key: String? = nil) { put("null", key) }
  package mutating func write(_ value: Float, _ key: String? = nil) { put(value.isFinite ? "\(value)" : "null", key) }

  private mutating func open(_ bracket: String, _ key: String?) {
    put(bracket, key)
    needsComma = false
  }

  private mutating func close(_ bracket: String) {
    text += bracket
    needsComma = true
  }

  private mutating func put(_ piece: String, _ key: String?) {
    if needsComma { text += "," }
    if let key { text += Self.quoted(key) + ":" }
    text += piece
    needsComma = true
  }

  /// A JSON string.
  package static func quoted(_ value: String) -> String {
    var result = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
