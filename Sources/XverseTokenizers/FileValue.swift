// FileValue.swift -- a value of tokenizer.json together with its path, so that every complaint names both, and the
// rule that nothing in the file is silently ignored: what changes no ids is told in a warning.

import XverseCore

/// What is told about a file that was accepted: sentences for people, the first few of them.
final class FileWarnings {
  private static let maximumCount = 16
  private(set) var texts: [String] = []

  func add(_ text: String) {
    if texts.count < Self.maximumCount { texts.append(text) }
  }
}

/// One JSON value and where it stands, such as `pre_tokenizer.pretokenizers[1].behavior`.
struct FileValue {
  /// Most components of a Sequence, nested ones counted flat.
  static let maximumComponents = 32

  let value: JSONValue
  let path: String
  let warnings: FileWarnings

  // MARK: complaints

  /// Tells what is unexpected and does not matter.
  func warn(expected: String) {
    warnings.add("\(value.document.source): '\(path)' is \(value.snippet), expected \(expected)")
  }

  func corrupt(expected: String) -> XverseError {
    .corrupt("\(value.document.source): '\(path)' is \(value.snippet), expected \(expected)", offset: value.offset)
  }

  func limit(expected: String) -> XverseError {
    .limit("\(value.document.source): '\(path)' is \(value.snippet), expected \(expected)", offset: value.offset)
  }

  func unsupported(expected: String) -> XverseError {
    XverseError(
      .unsupported,
      "\(value.document.source): '\(path)' is \(value.snippet), which is not supported; "
        + "expected \(expected)", offset: value.offset)
  }

  // MARK: members

  /// The member called `key`; nil when it is absent or null.
  subscript(key: String) -> FileValue? {
    guard let member = value[key], !member.isNull else { return nil }
    return self.member(member, key)
  }

  /// A member, or an element, that was found already.
  func member(_ value: JSONValue, _ key: String) -> FileValue {
    FileValue(value: value, path: path.isEmpty ? key : "\(path).\(key)", warnings: warnings)
  }

  func element(_ value: JSONValue, _ index: Int) -> FileValue {
    FileValue(value: value, path: "\(path)[\(index)]", warnings: warnings)
  }

  func required(_ key: String) throws(XverseError) -> FileValue {
    guard let member = self[key] else {
      let place = path.isEmpty ? key : "\(path).\(key)"
      throw .corrupt("\(value.document.source): '\(place)' is missing", offset: value.offset)
    }
    return member
  }

  /// Tells of members that nothing is known of, over which Hugging Face's `tokenizers` passes as well.
  func expectKeys(_ known: [String]) {
    for member in value.members where !known.contains(where: { member.key.equals($0) }) {
      self.member(member.value, member.key.snippet)
        .warn(expected: "only the members \(known.joined(separator: ", ")): it is passed over")
    }
  }

  /// The elements of a list of components.
  func elements() throws(XverseError) -> [FileValue] {
    guard value.kind == .array else { throw corrupt(expected: "an array") }
    var result: [FileValue] = []
    for element in value.elements {
      guard result.count < Self.maximumComponents else {
        throw limit(expected: "at most \(Self.maximumComponents) components")
      }
      result.append(self.element(element, result.count))
    }
    return result
  }

  // MARK: typed values

  func bool(_ key: String, default missing: Bool? = nil) throws(XverseError) -> Bool {
    if let missing, self[key] == nil { return missing }
    let member = try required(key)
    guard let bool = member.value.bool else { throw member.corrupt(expected: "true or false") }
    return bool
  }

  func string() throws(XverseError) -> String {
    guard let string = value.string else { throw corrupt(expected: "a string") }
    return string
  }

  /// The single character of a string.
  func scalar() throws(XverseError) -> Unicode.Scalar {
    let scalars = try string().unicodeScalars
    guard let scalar = scalars.first, scalars.count == 1 else { throw corrupt(expected: "a single character") }
    return scalar
  }

  // MARK: components

  /// The `type` of a component.
  func type() throws(XverseError) -> String { try required("type").string() }

  func unsupportedType(expected: String) -> XverseError {
    (self["type"] ?? self).unsupported(expected: expected)
  }

  /// The components of this value in their order: itself, or the flattened members of a Sequence.
  ///
  /// - Parameter key: The member that holds the list of a Sequence.
  func flattened(_ key: String) throws(XverseError) -> [FileValue] {
    var result: [FileValue] = []
    var pending = [self]
    while let component = pending.popLast() {
      guard component.value.kind == .object else { throw component.corrupt(expected: "an object") }
      guard try component.type() == "Sequence" else {
        result.append(component)
        continue
      }
      component.expectKeys(["type", key])
      let list = try component.required(key)
      let members = try list.elements()
      guard result.count + pending.count + members.count <= Self.maximumComponents else {
        throw list.limit(expected: "at most \(Self.maximumComponents) components in all")
      }
      pending.append(contentsOf: members.reversed())
    }
    return result
  }
}
