// JSONFields.swift -- the fields of a JSON object with their expectations: what is wrong names file, field, value found
// and value expected.

import XverseCore

/// Checked access to the fields of one object. A field that is null counts as absent.
package struct JSONFields {
  private let object: JSONValue
  private let prefix: String

  /// - Parameter name: The object's own field name; empty for the root of a file.
  /// - Throws: `corrupt` when `value` is no object.
  package init(_ value: JSONValue, name: String = "") throws(XverseError) {
    guard value.kind == .object else {
      let place = name.isEmpty ? "the text" : "'\(name)'"
      throw .corrupt(
        "\(value.document.source): \(place) is \(value.kind.rawValue), expected an object", offset: value.offset)
    }
    object = value
    prefix = name.isEmpty ? "" : name + "."
  }

  /// Whether the field is there, even as null.
  package func has(_ key: String) -> Bool { object[key] != nil }

  package subscript(key: String) -> JSONValue? {
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// - Throws: `corrupt` for what is no integer or below the range, `limit` for what is above it.
  package func integer(_ key: String, in range: ClosedRange<Int>) throws(XverseError) -> Int? {
    guard let value = self[key] else { return nil }
    if let number = value.int, range.contains(number) { return number }
    // A number too large for Int is over the limit as well; as a double it is only rounded.
    if let number = value.double, number > Double(range.upperBound) {
      throw .limit(message(key, value, expected: "at most \(range.upperBound)"), offset: value.offset)
    }
    throw unexpected(key, value, expected: "an integer from \(range.lowerBound) to \(range.upperBound)")
  }

  /// - Parameter isExpected: Whether a finite number will do.
  package func number(
    _ key: String, expected: String, where isExpected: (Double) -> Bool
  ) throws(XverseError) -> Double? {
    guard let value = self[key] else { return nil }
    guard let number = value.double, isExpected(number) else { throw unexpected(key, value, expected: expected) }
    return number
  }

  package func bool(_ key: String) throws(XverseError) -> Bool? {
    guard let value = self[key] else { return nil }
    guard let bool = value.bool else { throw unexpected(key, value, expected: "true or false") }
    return bool
  }

  package func string(_ key: String) throws(XverseError) -> String? {
    guard let value = self[key] else { return nil }
    guard let string = value.string else { throw unexpected(key, value, expected: "a string") }
    return string
  }

  package func object(_ key: String) throws(XverseError) -> JSONFields? {
    guard let value = self[key] else { return nil }
    return try JSONFields(value, name: prefix + key)
  }

  package func missing(_ key: String, expected: String) -> XverseError {
    .corrupt("\(object.document.source): '\(prefix)\(key)' is missing, expected \(expected)", offset: object.offset)
  }

  package func unexpected(_ key: String, _ value: JSONValue, expected: String) -> XverseError {
    .corrupt(message(key, value, expected: expected), offset: value.offset)
  }

  /// The sentence for a field whose value is not the expected one.
  package func message(_ key: String, _ value: JSONValue, expected: String) -> String {
    "\(object.document.source): '\(prefix)\(key)' is \(value.snippet.inMessage), expected \(expected)"
  }
}
