// OptionRow+Checking.swift -- values from outside checked against a row, and the messages about those that are refused.

import XverseCore

/// A value as it comes through the C interface.
enum OptionInput {
  case int(Int64)
  case float(Double)
  case text(UnsafeRawBufferPointer)
  case json(JSONValue)
}

extension OptionRow {
  /// Longest text of a path, and of a choice, in bytes.
  private static var longestPath: Int { 4096 }
  private static var longestChoice: Int { 256 }

  /// - Throws: `invalid` for a value of another type, `range` for one that is out of bounds or no choice, `parse` for a
  ///   text that should be JSON.
  func assignment(of input: OptionInput) throws(XverseError) -> Assignment {
    switch input {
    case .int(let value): try assignment(of: value)
    case .float(let value): try assignment(of: value)
    case .text(let value): try assignment(of: value)
    case .json(let value): try assignment(of: value)
    }
  }

  private func assignment(of value: Int64) throws(XverseError) -> Assignment {
    switch accepted {
    case .int(let bounds, let assign):
      // Compared as integers: beyond 2^53 a double would round to the bound.
      guard bounds.contains(value) else { throw outOfBounds("\(value)", bounds) }
      return assign(value)
    case .float: return try assignment(of: Double(value))
    case .choice, .path, .json: throw wrongType("the integer \(value)")
    }
  }

  private func assignment(of value: Double) throws(XverseError) -> Assignment {
    switch accepted {
    case .int(let bounds, _):
      guard value >= Double(bounds.lowerBound), value <= Double(bounds.upperBound) else {
        throw outOfBounds("\(value)", bounds)
      }
      guard let whole = Int64(exactly: value) else { throw wrongType("\(value)") }
      return try assignment(of: whole)
    case .float(let bounds, let assign):
      guard bounds.contains(value) else { throw outOfBounds("\(value)", bounds) }
      return assign(value)
    case .choice, .path, .json: throw wrongType("the number \(value)")
    }
  }

  private func assignment(of text: UnsafeRawBufferPointer) throws(XverseError) -> Assignment {
    if case .json(let read) = accepted {
      return try read(JSONDocument(text, source: "option '\(key)'", faultCode: .parse).root)
    }
    // A longer text is refused; its beginning is enough for the message.
    let value = String(decoding: text.prefix(Self.longestPath), as: UTF8.self)
    switch accepted {
    case .path where text.count > Self.longestPath: throw tooLong(value)
    case .path(let assign): return assign(Array(text))
    case .choice(let choices) where text.count > Self.longestChoice: throw noChoice(value, choices)
    default: return try assignment(of: value)
    }
  }

  private func assignment(of value: String) throws(XverseError) -> Assignment {
    switch accepted {
    case .path(let assign):
      guard value.utf8.count <= Self.longestPath else { throw tooLong(value) }
      return assign(Array(value.utf8))
    case .choice(let choices):
      for choice in choices {
        if let assignment = choice.value(for: value) { return assignment }
      }
      throw noChoice(value, choices)
    case .int, .float, .json: throw wrongType("the string '\(Spelling.shortened(value))'")
    }
  }

  private func assignment(of value: JSONValue) throws(XverseError) -> Assignment {
    if case .json(let read) = accepted { return try read(value) }
    if case .int(let bounds, let assign) = accepted, bounds == 0...1, let flag = value.bool {
      return assign(flag ? 1 : 0)
    }
    if let int = value.int { return try assignment(of: Int64(int)) }
    if let double = value.double { return try assignment(of: double) }
    if let string = value.string { return try assignment(of: string) }
    // A number that no double can hold, 1e400.
    switch accepted {
    case .int(let bounds, _) where value.kind == .number: throw outOfBounds(value.snippet, bounds)
    case .float(let bounds, _) where value.kind == .number: throw outOfBounds(value.snippet, bounds)
    default: throw wrongType(value.snippet)
    }
  }
}

// MARK: messages

extension OptionRow {
  private func outOfBounds(_ value: String, _ bounds: ClosedRange<some Comparable>) -> XverseError {
    .range("option '\(key)' is \(value), expected \(bounds.lowerBound) to \(bounds.upperBound)")
  }

  private func tooLong(_ value: String) -> XverseError {
    .range("option '\(key)' is '\(Spelling.shortened(value))', expected at most \(Self.longestPath) bytes")
  }

  private func noChoice(_ value: String, _ choices: [OptionChoice<Assignment>]) -> XverseError {
    let names = choices.map { $0.value == nil ? $0.name + "FACTOR" : $0.name }
    return .range(
      "option '\(key)' is '\(Spelling.shortened(value))', expected one of \(names.joined(separator: ", "))")
  }

  private func wrongType(_ found: String) -> XverseError {
    let expected =
      switch accepted {
      case .int: "an integer"
      case .float: "a number"
      case .choice(let choices): "one of \(choices.map(\.name).joined(separator: "|"))"
      case .path: "a string"
      case .json: "JSON text through xverse_options_set_string or set_json"
      }
    return .invalid("option '\(key)' is \(found), expected \(expected)")
  }
}
