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
    described(kind).filter { !hidden.contains($0.key) }.map(\.specification)
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
      try set(option.key, option.isSwitch && word.bytes.isEmpty ? 1 : try arguments.integer(option.name) ?? 0)
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
  /// The number or the choice; nil when it comes from the model or the machine.
  private let standard: String?

  init(_ info: xverse_option_info) {
    key = String(cString: info.key)
    type = Int(info.type)
    document = String(cString: info.doc)
    choices = info.choices.map { String(cString: $0) }
    bounds = (info.min, info.max)
    unit = String(cString: info.unit)
    standard = info.def_choice.map { String(cString: $0) } ?? (info.def.isNaN ? nil : Format.plain(info.def))
  }

  /// `top-k` for `top_k`.
  var name: String { String(key.map { $0 == "_" ? "-" : $0 }) }

  var isSwitch: Bool { type == XVERSE_OPTION_INT && bounds == (0, 1) }

  /// `stop` is a JSON list of texts to the library and `--stop TEXT`, once or more, to people.
  var isList: Bool { key == "stop" }

  var specification: OptionSpecification {
    if isSwitch { return .toggle(name, document) }
    if isList { return .repeatable(name, "TEXT", "Text before which generation ends; may be given several times.") }
    return .option(name, placeholder, document + remark)
  }

  /// " [0 to 1, default 0]": what is known of these and not said yet; bounds only where people could run into them.
  private var remark: String {
    var facts: [String] = []
    if bounds.lower < bounds.upper, bounds.upper <= 1024 {
      facts.append("\(Format.plain(bounds.lower)) to \(Format.plain(bounds.upper))")
    }
    if let standard, !document.contains("default") { facts.append("default \(standard)") }
    return facts.isEmpty ? "" : " [\(facts.joined(separator: ", "))]"
  }

  private var placeholder: String {
    switch type {
    case XVERSE_OPTION_INT: unit.isEmpty ? "N" : unit.uppercased()
    case XVERSE_OPTION_FLOAT: "X"
    case XVERSE_OPTION_JSON: "JSON"
    default: choices ?? "FILE"
    }
  }
}
