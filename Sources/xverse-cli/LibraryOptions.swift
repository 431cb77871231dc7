// LibraryOptions.swift -- the library's own options on the command line: it describes its keys, so `top_k` of kind
// sampling becomes `--top-k TOKENS` without a second list here that could fall behind.

import CXverse
import XverseMeasurement

/// Settings for one call. A value that the library refuses is the user's mistake, so it becomes a `usage` error.
final class LibraryOptions {
  let handle: OpaquePointer?
  private let kind: Kind

  enum Kind {
    case runtime, model, session, sampling, scheduler, convert, score

    fileprivate var code: Int32 {
      switch self {
      case .runtime: Int32(XVERSE_OPTIONS_RUNTIME)
      case .model: Int32(XVERSE_OPTIONS_MODEL)
      case .session: Int32(XVERSE_OPTIONS_SESSION)
      case .sampling: Int32(XVERSE_OPTIONS_SAMPLING)
      case .scheduler: Int32(XVERSE_OPTIONS_SCHEDULER)
      case .convert: Int32(XVERSE_OPTIONS_CONVERT)
      case .score: Int32(XVERSE_OPTIONS_SCORE)
      }
    }
  }

  /// Options with the values that the command line gives for keys of this kind.
  init(_ kind: Kind, from arguments: Arguments) throws(ToolError) {
    var created: OpaquePointer?
    try Library.check(xverse_options_create(kind.code, &created))
    handle = created
    self.kind = kind
    for option in Self.described(kind) { try set(option, from: arguments) }
  }

  deinit { xverse_options_free(handle) }

  /// The command-line options for the keys of one kind.
  ///
  /// - Parameter hidden: Keys that make no sense for the tool.
  static func specifications(_ kind: Kind, except hidden: [String] = []) -> [OptionSpecification] {
    let all = described(kind)
    return all.filter { !hidden.contains($0.key) }.map { $0.specification(among: all.map(\.key)) }
  }

  func set(_ key: String, _ value: Int) throws(ToolError) {
    try Self.check(xverse_options_set_int(handle, key, Int64(value)))
  }

  /// Sets every member of a JSON object, or none; a value that the library refuses is a `failure`.
  func set(_ members: JSON) throws(ToolError) {
    let text = members.text
    try Library.check(xverse_options_set_json(handle, text, text.utf8.count))
  }

  private func set(_ option: Described, from arguments: Arguments) throws(ToolError) {
    guard let word = arguments.word(option.name) else { return }
    switch option.type {
    case XVERSE_OPTION_INT:
      if option.isSwitch, word.bytes.isEmpty { return try set(option.key, 1) }
      let value = option.isBytes ? try arguments.bytes(option.name) : try arguments.integer(option.name)
      try set(option.key, value ?? 0)
    case XVERSE_OPTION_FLOAT:
      try Self.check(xverse_options_set_float(handle, option.key, try arguments.number(option.name) ?? 0))
    case _ where option.isList:
      let list = JSON.array(arguments.strings(option.name).map(JSON.string)).text
      try Self.check(xverse_options_set_string(handle, option.key, list, list.utf8.count))
    default:
      try Self.check(xverse_options_set_string(handle, option.key, word.characters, word.bytes.count))
    }
  }

  private static func check(_ status: xverse_status) throws(ToolError) {
    if status < 0 { throw .usage(String(cString: xverse_last_error())) }
  }

  /// Every key of a kind, in the library's order.
  private static func described(_ kind: Kind) -> [Described] {
    var options: [Described] = []
    var info = xverse_option_info()
    info.size = UInt32(MemoryLayout<xverse_option_info>.size)
    while xverse_options_describe(kind.code, Int32(options.count), &info) >= 0 { options.append(Described(info)) }
    return options
  }
}

/// One key as the library describes it.
private struct Described {
  let key: String
  let type: Int
  private let document: String
  private let choices: String?
  private let bounds: (lower: Double, upper: Double)
  private let unit: String
  /// Neither when it comes from the model or the machine.
  private let standard: (number: Double?, choice: String?)

  init(_ info: xverse_option_info) {
    key = String(cString: info.key)
    type = Int(info.type)
    document = String(cString: info.doc)
    choices = info.choices.map { String(cString: $0) }
    bounds = (info.min, info.max)
    unit = String(cString: info.unit)
    standard = (info.def.isNaN ? nil : info.def, info.def_choice.map { String(cString: $0) })
  }

  /// `top-k` for `top_k`.
  var name: String { String(key.map { $0 == "_" ? "-" : $0 }) }

  var isSwitch: Bool { type == XVERSE_OPTION_INT && bounds == (0, 1) }

  /// `stop` is a JSON list of texts to the library and `--stop TEXT`, once or more, to people.
  var isList: Bool { key == "stop" }

  var isBytes: Bool { type == XVERSE_OPTION_INT && unit == "bytes" }

  /// - Parameter keys: All keys of the kind, which become names of options in the sentence.
  func specification(among keys: [String]) -> OptionSpecification {
    if isList {
      return OptionSpecification(
        name: name, value: .several("TEXT"), help: "End generation before this text. May be given several times.",
        facts: ["at most 256 texts of 4096 bytes each"])
    }
    if isSwitch { return OptionSpecification(name: name, value: .toggle, help: sentence(keys), facts: standardFact) }
    return OptionSpecification(
      name: name, value: .one(placeholder, completion), help: sentence(keys), facts: boundFact + standardFact)
  }

  /// The library's sentence in the words of the command line.
  private func sentence(_ keys: [String]) -> String {
    var text = document
    if text.hasPrefix("1: ") { text = text.dropFirst(3).prefix(1).uppercased() + text.dropFirst(4) }
    for key in keys where key.contains("_") {
      text = text.split(separator: " ", omittingEmptySubsequences: false).map { word in
        let name = word.prefix { $0.isLetter || $0 == "_" }
        return name == key ? "--" + name.map { $0 == "_" ? "-" : $0 } + word.dropFirst(name.count) : String(word)
      }.joined(separator: " ")
    }
    return text
  }

  private var boundFact: [String] {
    if !(bounds.lower < bounds.upper) { return [] }
    // Larger bounds are those of the numbers' type.
    if bounds.upper >= Double(Int32.max) { return ["\(shown(bounds.lower)) or more"] }
    return ["\(shown(bounds.lower)) to \(shown(bounds.upper))"]
  }

  private var standardFact: [String] {
    if document.contains("default") { return [] }
    if let choice = standard.choice { return ["default: \(choice)"] }
    guard let number = standard.number else { return isFromModel ? ["default: the model's"] : [] }
    if isSwitch { return ["default: \(number == 0 ? "off" : "on")"] }
    return ["default: \(isBytes && number >= 1024 ? Format.bytes(Int(number)) : shown(number))"]
  }

  /// Numbers and choices without a default of the library's own; texts have none at all.
  private var isFromModel: Bool { type == XVERSE_OPTION_INT || type == XVERSE_OPTION_FLOAT || choices != nil }

  /// A number as people write it; powers of two with many digits as such.
  private func shown(_ number: Double) -> String {
    let isPower = number > 0 && number.isFinite && number.significand == 1 && abs(number.exponent) >= 20
    return isPower ? "2^\(number.exponent)" : Format.plain(number)
  }

  private var placeholder: String {
    switch type {
    case XVERSE_OPTION_INT: unit.isEmpty ? "N" : unit.uppercased()
    case XVERSE_OPTION_FLOAT: "X"
    case XVERSE_OPTION_JSON: "JSON"
    default:
      choices.map { $0.split(separator: "|").map { $0.hasSuffix(":") ? $0 + "X" : $0 }.joined(separator: "|") }
        ?? "FILE"
    }
  }

  private var completion: Completion {
    if let choices { return .choices(choices.split(separator: "|").map(String.init)) }
    return type == XVERSE_OPTION_STRING ? .path : .nothing
  }
}
