// GGUFFields.swift -- the keys of a GGUF file's metadata with their expectations: what is wrong names file, key, value found
// and value expected, as JSONFields does.

import XverseCore

/// Checked access to the metadata.
package struct GGUFFields {
  private let metadata: GGUFMetadata
  /// What every key begins with.
  private let prefix: String

  package init(_ metadata: GGUFMetadata, prefix: String = "") {
    self.metadata = metadata
    self.prefix = prefix
  }

  package subscript(key: String) -> GGUFValue? { metadata[prefix + key] }

  /// - Throws: `corrupt` for what is no integer or below the range, `limit` for what is above it.
  package func integer(_ key: String, in range: ClosedRange<Int>) throws(XverseError) -> Int? {
    guard let value = self[key] else { return nil }
    if let number = value.integer, range.contains(number) { return number }
    if let number = value.number, number > Double(range.upperBound) {
      throw .limit(message(key, value, expected: "at most \(range.upperBound)"), offset: value.offset)
    }
    throw unexpected(key, value, expected: "an integer from \(range.lowerBound) to \(range.upperBound)")
  }

  /// - Parameter isExpected: Whether a finite number will do.
  package func number(
    _ key: String, expected: String, where isExpected: (Double) -> Bool
  ) throws(XverseError) -> Double? {
    guard let value = self[key] else { return nil }
    guard let number = value.number, number.isFinite, isExpected(number) else {
      throw unexpected(key, value, expected: expected)
    }
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

  package func missing(_ key: String, expected: String) -> XverseError {
    .corrupt("\(metadata.source): '\((prefix + key).inMessage)' is missing, expected \(expected)")
  }

  package func unexpected(_ key: String, _ value: GGUFValue, expected: String) -> XverseError {
    .corrupt(message(key, value, expected: expected), offset: value.offset)
  }

  /// The sentence for a key whose value is not the expected one.
  package func message(_ key: String, _ value: GGUFValue, expected: String) -> String {
    "\(metadata.source): '\((prefix + key).inMessage)' is \(value.description), expected \(expected)"
  }
}
