// RequestValue.swift -- a value of a request together with its path, so that every complaint names the field, the value
// found and the value expected.

import XverseCore

/// One JSON value and where it stands, such as `messages[0].content`.
struct RequestValue {
  let value: JSONValue
  let path: String

  // MARK: complaints

  /// A value that is never right.
  func invalid(expected: String) -> XverseError { error(.invalid, "is \(value.snippet), expected \(expected)") }

  /// A value outside its bounds.
  func outOfRange(expected: String) -> XverseError { error(.range, "is \(value.snippet), expected \(expected)") }

  /// A value that OpenAI's interface has and this library does not.
  func unsupported(expected: String) -> XverseError {
    error(.unsupported, "is \(value.snippet), which is not supported; expected \(expected)")
  }

  private func error(_ code: XverseError.Code, _ words: String) -> XverseError {
    XverseError(code, "'\(path)' \(words)", offset: value.offset, field: path)
  }

  // MARK: members

  /// The member called `key`; nil when it is absent or null.
  subscript(key: String) -> RequestValue? {
    guard let member = value[key], !member.isNull else { return nil }
    return self.member(member, key)
  }

  /// A member that was found already.
  func member(_ value: JSONValue, _ key: String) -> RequestValue {
    RequestValue(value: value, path: path.isEmpty ? key : "\(path).\(key)")
  }

  func element(_ value: JSONValue, _ index: Int) -> RequestValue {
    RequestValue(value: value, path: "\(path)[\(index)]")
  }

  func required(_ key: String, expected: String) throws(XverseError) -> RequestValue {
    guard let member = self[key] else {
      let path = path.isEmpty ? key : "\(path).\(key)"
      throw XverseError(
        .invalid, "'\(path)' is missing or null, expected \(expected)", offset: value.offset, field: path)
    }
    return member
  }

  /// Requires an object whose members, null ones aside, are called by one of `keys`.
  func requireMembers(_ keys: [String]) throws(XverseError) {
    guard value.kind == .object else { throw invalid(expected: "an object") }
    for member in value.members where !member.value.isNull && !keys.contains(where: { member.key.equals($0) }) {
      throw self.member(member.value, member.key.snippet)
        .unsupported(expected: "no other members of '\(path)' than \(keys.joined(separator: ", "))")
    }
  }

  // MARK: typed values

  func bool() throws(XverseError) -> Bool {
    guard let bool = value.bool else { throw invalid(expected: "true or false") }
    return bool
  }

  /// A whole number, also one that is written as 50.0.
  func integer(in range: ClosedRange<Int>) throws(XverseError) -> Int {
    let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
    guard value.kind == .number else { throw invalid(expected: expected) }
    guard let number = value.wholeNumber, range.contains(number) else { throw outOfRange(expected: expected) }
    return number
  }

  func number(in range: ClosedRange<Double>) throws(XverseError) -> Double {
    let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
    guard value.kind == .number else { throw invalid(expected: expected) }
    guard let number = value.double, range.contains(number) else { throw outOfRange(expected: expected) }
    return number
  }

  /// A string of `bytes` bytes.
  func string(bytes range: ClosedRange<Int>) throws(XverseError) -> String {
    guard let string = value.stringValue else { throw invalid(expected: "a string") }
    // An escape sequence takes at most six bytes for one: anything longer than that needs no decoding.
    let text = value.textRange.count / 6 > range.upperBound ? nil : string.text
    guard let text, range.contains(text.utf8.count) else {
      throw outOfRange(expected: "\(range.lowerBound) to \(range.upperBound) bytes of text")
    }
    return text
  }

  /// Requires one of a few strings.
  func requireString(_ choices: [String]) throws(XverseError) {
    let expected = choices.map { "\"\($0)\"" }.joined(separator: " or ")
    guard let string = value.stringValue else { throw invalid(expected: expected) }
    if !choices.contains(where: { string.equals($0) }) { throw self.unsupported(expected: expected) }
  }

  /// Requires an array without elements.
  func requireEmptyArray() throws(XverseError) {
    guard value.kind == .array else { throw invalid(expected: "an array") }
    if value.elements.first(where: { _ in true }) != nil { throw unsupported(expected: "[]") }
  }
}
