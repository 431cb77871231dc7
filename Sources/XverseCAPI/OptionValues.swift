// OptionValues.swift -- the values behind an xverse_options: checked when they are set, so that using them cannot fail for
// reasons that were known before.

import XverseCore
import XverseFormats
import XverseRuntime

/// The object behind an xverse_options.
final class OptionsHandle: OwnedHandle {
  var values: OptionValues

  init(_ kind: OptionKind) { values = OptionValues(kind) }
}

/// The values of one kind of options.
struct OptionValues {
  enum Value {
    case int(Int64)
    case float(Double)
    case string(String)
    case stops([[UInt8]])
    case biases([(token: Int32, bias: Float)])
  }

  /// Longest value, in bytes, that a string option can have: one of its choices, or a path.
  private static func longestString(_ definition: OptionDefinition) -> Int { definition.choices == nil ? 4096 : 256 }

  let kind: OptionKind
  private var values: [String: Value] = [:]

  init(_ kind: OptionKind) { self.kind = kind }

  // MARK: reading

  func int(_ key: String) -> Int64? {
    if case .int(let value) = values[key] { value } else { nil }
  }

  func flag(_ key: String) -> Bool? { int(key).map { $0 != 0 } }

  func float(_ key: String) -> Double? {
    if case .float(let value) = values[key] { value } else { nil }
  }

  func string(_ key: String) -> String? {
    if case .string(let value) = values[key] { value } else { nil }
  }

  var stops: [[UInt8]]? {
    if case .stops(let value) = values["stop"] { value } else { nil }
  }

  var biases: [(token: Int32, bias: Float)]? {
    if case .biases(let value) = values["logit_bias"] { value } else { nil }
  }

  // MARK: setting

  mutating func set(_ key: String, int value: Int64) throws(XverseError) {
    values[key] = try checked(value, for: definition(of: key))
  }

  mutating func set(_ key: String, float value: Double) throws(XverseError) {
    values[key] = try checked(value, for: definition(of: key))
  }

  mutating func set(_ key: String, text: UnsafeRawBufferPointer) throws(XverseError) {
    let definition = try definition(of: key)
    guard definition.kind == .json else {
      let longest = Self.longestString(definition)
      let value = String(decoding: text.prefix(longest), as: UTF8.self)
      guard text.count <= longest else { throw noChoice(value, definition) }
      values[key] = try checked(value, for: definition)
      return
    }
    let document = try JSONDocument(text, source: "option '\(key)'", faultCode: .parse)
    values[key] = try checked(document.root, for: definition)
  }

  /// Sets all members of a JSON object, or none.
  mutating func set(json text: UnsafeRawBufferPointer) throws(XverseError) {
    let document = try JSONDocument(text, source: "options", faultCode: .parse)
    guard document.root.kind == .object else {
      throw .invalid("options: the JSON text is \(document.root.kind.rawValue), expected an object")
    }
    var changed = values
    for (name, value) in document.root.members {
      let key = name.text
      changed[key] = try checked(value, for: definition(of: key))
    }
    values = changed
  }

  // MARK: checking

  private func definition(of key: String) throws(XverseError) -> OptionDefinition {
    if let found = kind.definitions.first(where: { "\($0.key)" == key }) { return found }
    let keys = kind.definitions.map { "\($0.key)" }
    let nearest = Spelling.nearest(to: key, in: keys)
    throw .invalid(
      "'\(Spelling.shortened(key))' is no option of kind \(kind.name); "
        + (nearest.map { "did you mean '\($0)'?" } ?? "its keys are \(keys.joined(separator: ", "))"))
  }

  private func checked(_ value: Int64, for definition: OptionDefinition) throws(XverseError) -> Value {
    switch definition.kind {
    case .int:
      // Compared as integers: beyond 2^53 a double would round to the bound.
      guard value >= Int64(definition.bounds.lowerBound), value <= Int64(definition.bounds.upperBound) else {
        throw outOfBounds("\(value)", definition)
      }
      return .int(value)
    case .float: return try checked(Double(value), for: definition)
    case .string, .json: throw wrongType("the integer \(value)", definition)
    }
  }

  private func checked(_ value: Double, for definition: OptionDefinition) throws(XverseError) -> Value {
    guard definition.isNumber else { throw wrongType("the number \(value)", definition) }
    guard definition.bounds.contains(value) else { throw outOfBounds("\(value)", definition) }
    if definition.kind == .float { return .float(value) }
    guard let whole = Int64(exactly: value) else { throw wrongType("\(value)", definition) }
    return try checked(whole, for: definition)
  }

  private func checked(_ value: String, for definition: OptionDefinition) throws(XverseError) -> Value {
    if definition.kind == .string, definition.choices == nil {
      guard value.utf8.count <= Self.longestString(definition) else { throw noChoice(value, definition) }
      return .string(value)
    }
    let isAllowed = definition.allowedStrings.contains { choice in
      guard choice.hasSuffix(":") else { return choice == value }
      return value.hasPrefix(choice) && (ScalingFactor(value.dropFirst(choice.count)) != nil)
    }
    guard isAllowed else { throw noChoice(value, definition) }
    return .string(value)
  }

  private func checked(_ value: JSONValue, for definition: OptionDefinition) throws(XverseError) -> Value {
    if definition.kind == .json {
      return "\(definition.key)" == "stop"
        ? .stops(try JSONOptions.stops(value)) : .biases(try JSONOptions.biases(value))
    }
    if let flag = value.bool, definition.kind == .int, definition.bounds == 0...1 { return .int(flag ? 1 : 0) }
    if let int = value.int { return try checked(Int64(int), for: definition) }
    if let double = value.double { return try checked(double, for: definition) }
    if let string = value.string { return try checked(string, for: definition) }
    // A number that no double can hold, 1e400.
    if value.kind == .number && definition.isNumber { throw outOfBounds(value.snippet, definition) }
    throw wrongType(value.snippet, definition)
  }

  private func outOfBounds(_ value: String, _ definition: OptionDefinition) -> XverseError {
    let isInt = definition.kind == .int
    func text(_ bound: Double) -> String { isInt ? String(Int64(bound)) : "\(bound)" }
    return .range(
      "option '\(definition.key)' is \(value), expected \(text(definition.bounds.lowerBound)) to "
        + text(definition.bounds.upperBound))
  }

  private func noChoice(_ found: String, _ definition: OptionDefinition) -> XverseError {
    guard definition.kind == .string else {
      return wrongType("the string '\(Spelling.shortened(found))'", definition)
    }
    guard definition.choices != nil else {
      return .range(
        "option '\(definition.key)' is '\(Spelling.shortened(found))', expected at most "
          + "\(Self.longestString(definition)) bytes")
    }
    return .range(
      "option '\(definition.key)' is '\(Spelling.shortened(found))', expected one of "
        + definition.allowedStrings.map { $0.hasSuffix(":") ? $0 + "FACTOR" : $0 }.joined(separator: ", "))
  }

  private func wrongType(_ found: String, _ definition: OptionDefinition) -> XverseError {
    let expected =
      switch definition.kind {
      case .int: "an integer"
      case .float: "a number"
      case .string: definition.choices.map { "one of \($0)" } ?? "a string"
      case .json: "JSON text through xverse_options_set_string or set_json"
      }
    return .invalid("option '\(definition.key)' is \(found), expected \(expected)")
  }
}

/// The number after "linear:" and "dynamic:".
struct ScalingFactor {
  let value: Double

  init?(_ text: some StringProtocol) {
    guard let value = Double(String(text)), value.isFinite, value >= 1, value <= 0x1p20 else { return nil }
    self.value = value
  }
}

/// The options whose values are JSON.
private enum JSONOptions {
  static func stops(_ value: JSONValue) throws(XverseError) -> [[UInt8]] {
    if let single = value.string { return try [checked(single, 0)] }
    guard value.kind == .array else {
      throw .invalid("option 'stop' is \(value.snippet), expected an array of strings")
    }
    var stops: [[UInt8]] = []
    for (index, element) in value.elements.enumerated() {
      guard index < StopMatcher.maximumCount else {
        throw .range("option 'stop' has more than \(StopMatcher.maximumCount) strings")
      }
      guard let text = element.string else {
        throw .invalid("option 'stop': element \(index) is \(element.snippet), expected a string")
      }
      stops.append(try checked(text, index))
    }
    return stops
  }

  private static func checked(_ text: String, _ index: Int) throws(XverseError) -> [UInt8] {
    let bytes = Array(text.utf8)
    guard (1...StopMatcher.maximumLength).contains(bytes.count) else {
      throw .range(
        "option 'stop': string \(index) has \(bytes.count) bytes, expected 1 to \(StopMatcher.maximumLength)")
    }
    return bytes
  }

  /// The bound that keeps every sum of a logit and its bias finite.
  private static let largestBias = 0x1p60

  static func biases(_ value: JSONValue) throws(XverseError) -> [(token: Int32, bias: Float)] {
    guard value.kind == .object else {
      throw .invalid("option 'logit_bias' is \(value.snippet), expected an object of token ids and numbers")
    }
    var biases: [(token: Int32, bias: Float)] = []
    for (key, bias) in value.members {
      guard let token = Int32(key.text), token >= 0 else {
        throw .range("option 'logit_bias': key '\(key.snippet)' is no token id")
      }
      guard let number = bias.double, abs(number) <= largestBias else {
        throw .range("option 'logit_bias': the bias of token \(token) is \(bias.snippet), expected a finite number")
      }
      biases.append((token, Float(number)))
    }
    return biases
  }
}

/// Suggestions for misspelt keys.
enum Spelling {
  /// The beginning of a text from outside, for messages.
  static func shortened(_ text: String) -> String {
    let beginning = String(String.UnicodeScalarView(text.unicodeScalars.prefix(40)))
    return beginning.inMessage + (beginning.utf8.count < text.utf8.count ? "..." : "")
  }

  /// The candidate with the fewest edits, when those are at most a third of its length.
  static func nearest(to word: String, in candidates: [String]) -> String? {
    guard word.utf8.count <= 64 else { return nil }
    let best = candidates.map { ($0, distance(Array(word.utf8), Array($0.utf8))) }.min { $0.1 < $1.1 }
    guard let (candidate, edits) = best, edits * 3 <= max(3, candidate.utf8.count) else { return nil }
    return candidate
  }

  /// Levenshtein's distance.
  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for (i, byte) in left.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in right.enumerated() {
        let replaced = diagonal + (byte == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[right.count]
  }
}
