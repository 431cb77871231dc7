// OptionRow.swift -- what the table of options says about one option.

import CXverse
import XverseCore

/// One option: its key, the values that it accepts, and the member of `Group` that it sets.
struct OptionRow<Group: OptionGroup>: Sendable {
  /// Sets a member to a value that was checked.
  typealias Assignment = @Sendable (inout Group) -> Void

  /// What the value can be, and how to assign it.
  enum Accepted: Sendable {
    /// An integer within inclusive bounds, of at most 53 bits: xverse_option_info has them as doubles.
    case int(ClosedRange<Int64>, @Sendable (Int64) -> Assignment)
    /// A number within inclusive bounds.
    case float(ClosedRange<Double>, @Sendable (Double) -> Assignment)
    /// One of several names.
    case choice([OptionChoice<Assignment>])
    /// At most `longestPath` bytes in any encoding.
    case path(@Sendable ([UInt8]) -> Assignment)
    /// A JSON value, which the function checks.
    case json(@Sendable (JSONValue) throws(XverseError) -> Assignment)
  }

  let key: StaticString
  let accepted: Accepted
  /// What a number counts: "tokens"; "" for none.
  let unit: StaticString
  /// One sentence.
  let doc: StaticString
  /// The default of a number; NaN when it comes from the model or the machine.
  let defaultNumber: Double
  /// The default of a choice; nil when it comes from the model.
  nonisolated(unsafe) let defaultChoice: UnsafePointer<CChar>?
  /// The names of the choices, separated by "|".
  nonisolated(unsafe) let choices: UnsafePointer<CChar>?

  private init(
    _ key: StaticString, _ accepted: Accepted, unit: StaticString = "", defaultNumber: Double = .nan,
    defaultChoice: String? = nil, _ doc: StaticString
  ) {
    self.key = key
    self.accepted = accepted
    self.unit = unit
    self.doc = doc
    self.defaultNumber = defaultNumber
    self.defaultChoice = defaultChoice.map(permanentCopy)
    choices =
      if case .choice(let choices) = accepted {
        permanentCopy(choices.map(\.name).joined(separator: "|"))
      } else {
        nil
      }
  }

  /// The row as xverse_options_describe returns it; its texts live as long as the process.
  var info: xverse_option_info {
    var info = xverse_option_info()
    info.key = cString(key)
    info.doc = cString(doc)
    info.choices = choices
    info.def = defaultNumber
    info.unit = cString(unit)
    info.def_choice = defaultChoice
    switch accepted {
    case .int(let bounds, _):
      info.type = Int32(XVERSE_OPTION_INT)
      (info.min, info.max) = (Double(bounds.lowerBound), Double(bounds.upperBound))
    case .float(let bounds, _):
      info.type = Int32(XVERSE_OPTION_FLOAT)
      (info.min, info.max) = (bounds.lowerBound, bounds.upperBound)
    case .choice, .path: info.type = Int32(XVERSE_OPTION_STRING)
    case .json: info.type = Int32(XVERSE_OPTION_JSON)
    }
    return info
  }
}

// MARK: rows of the table

extension OptionRow {
  typealias Member<Value> = WritableKeyPath<Group, Value> & Sendable

  static func int<Value: IntegerMember>(
    _ key: StaticString, _ bounds: ClosedRange<Int64>, to member: Member<Value>, unit: StaticString = "",
    default standard: OptionDefault<Value> = .initial, _ doc: StaticString
  ) -> Self {
    Self(
      key, .int(bounds) { value in { $0[keyPath: member] = Value(integer: value) } }, unit: unit,
      defaultNumber: standard.value(initial: Group()[keyPath: member])?.number ?? .nan, doc)
  }

  /// 0 or 1, in JSON also false or true.
  static func flag<Value: IntegerMember>(_ key: StaticString, to member: Member<Value>, _ doc: StaticString) -> Self {
    .int(key, 0...1, to: member, doc)
  }

  static func float<Value: FloatMember>(
    _ key: StaticString, _ bounds: ClosedRange<Double>, to member: Member<Value>,
    default standard: OptionDefault<Value> = .initial, _ doc: StaticString
  ) -> Self {
    Self(
      key, .float(bounds) { value in { $0[keyPath: member] = Value(float: value) } },
      defaultNumber: standard.value(initial: Group()[keyPath: member])?.number ?? .nan, doc)
  }

  static func choice<Value: Equatable & Sendable>(
    _ key: StaticString, _ choices: [OptionChoice<Value>], to member: Member<Value>,
    default standard: OptionDefault<Value> = .initial, _ doc: StaticString
  ) -> Self {
    let defaultValue = standard.value(initial: Group()[keyPath: member])
    return Self(
      key, .choice(choices.map { choice in choice.map { value in { $0[keyPath: member] = value } } }),
      defaultChoice: choices.first { $0.value != nil && $0.value == defaultValue }?.name, doc)
  }

  /// The names are the raw values of an enum.
  static func choice<Value: CaseIterable & RawRepresentable<String> & Equatable & Sendable>(
    _ key: StaticString, to member: Member<Value>, _ doc: StaticString
  ) -> Self {
    .choice(key, Value.allCases.map { .value($0.rawValue, $0) }, to: member, doc)
  }

  /// Any path; nil by default.
  static func path(_ key: StaticString, to member: Member<[UInt8]?>, _ doc: StaticString) -> Self {
    Self(key, .path { value in { $0[keyPath: member] = value } }, doc)
  }

  static func json<Value: Sendable>(
    _ key: StaticString, to member: Member<Value>, _ doc: StaticString,
    reading read: @escaping @Sendable (JSONValue) throws(XverseError) -> Value
  ) -> Self {
    let assignment: @Sendable (JSONValue) throws(XverseError) -> Assignment = { (json) throws(XverseError) in
      let value = try read(json)
      return { $0[keyPath: member] = value }
    }
    return Self(key, .json(assignment), doc)
  }
}

/// Where the default that is described comes from.
enum OptionDefault<Value> {
  /// The member's value in a new group; nil there means the model or the machine.
  case initial
  /// The model, which overwrites the group's values before options do.
  case model
  case value(Value)

  /// - Parameter initial: The member's value in a new group.
  /// - Returns: nil when the model decides.
  func value(initial: Value) -> Value? {
    switch self {
    case .initial: initial
    case .model: nil
    case .value(let value): value
    }
  }
}

/// One name that a string option accepts, and what it stands for.
enum OptionChoice<Value> {
  case value(String, Value)
  /// A name that ends in ":" and is followed by a factor, "linear:2.5".
  case factor(String, @Sendable (Double) -> Value)

  var name: String {
    switch self {
    case .value(let name, _), .factor(let name, _): name
    }
  }

  /// nil for a choice with a factor.
  var value: Value? {
    if case .value(_, let value) = self { value } else { nil }
  }

  /// What `text` stands for; nil when it is not this choice.
  func value(for text: String) -> Value? {
    switch self {
    case .value(let name, let value): name == text ? value : nil
    case .factor(let name, let make):
      text.hasPrefix(name) ? Self.scalingFactor(text.dropFirst(name.count)).map(make) : nil
    }
  }

  func map<Other>(_ transform: @escaping @Sendable (Value) -> Other) -> OptionChoice<Other> {
    switch self {
    case .value(let name, let value): .value(name, transform(value))
    case .factor(let name, let make): .factor(name) { transform(make($0)) }
    }
  }

  /// nil for text that is no number from 1 to 2^20.
  private static func scalingFactor(_ text: Substring) -> Double? {
    guard let value = Double(String(text)), value.isFinite, value >= 1, value <= 0x1p20 else { return nil }
    return value
  }
}

extension OptionChoice: Sendable where Value: Sendable {}
