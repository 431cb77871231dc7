// Command.swift -- what a command tells the parser and the help text about itself.

/// One subcommand of the tool.
protocol Command {
  static var specification: CommandSpecification { get }
  static func run(_ arguments: Arguments) throws(ToolError)
}

/// The shape of a command line: enough to parse it, to check it and to describe it.
struct CommandSpecification: Sendable {
  let name: String
  let summary: String
  /// What follows the name in the usage line.
  let usage: String
  /// Paragraphs under the usage line.
  let details: String
  /// How many operands (words that are not options) are allowed.
  let operands: ClosedRange<Int>
  let options: [OptionSpecification]

  init(
    _ name: String, summary: String, usage: String, details: String = "", operands: ClosedRange<Int>,
    options: [OptionSpecification] = []
  ) {
    self.name = name
    self.summary = summary
    self.usage = usage
    self.details = details
    self.operands = operands
    self.options = options + [.flag("help", "Print this text.")]
  }
}

/// One option of a command, `--name VALUE` or the flag `--name`.
struct OptionSpecification: Sendable {
  let name: String
  let value: Value
  let help: String

  enum Value: Equatable, Sendable {
    /// `--name`
    case none
    /// `--name`, or `--name=0` to switch it off.
    case toggle
    /// `--name VALUE`; the text stands for the value in the help.
    case one(String)
    /// `--name VALUE`, once or more.
    case several(String)
  }

  static func flag(_ name: String, _ help: String) -> Self { Self(name: name, value: .none, help: help) }

  static func toggle(_ name: String, _ help: String) -> Self { Self(name: name, value: .toggle, help: help) }

  static func option(_ name: String, _ value: String, _ help: String) -> Self {
    Self(name: name, value: .one(value), help: help)
  }

  static func repeatable(_ name: String, _ value: String, _ help: String) -> Self {
    Self(name: name, value: .several(value), help: help)
  }

  /// "--name VALUE"
  var synopsis: String {
    switch value {
    case .none: "--\(name)"
    case .toggle: "--\(name)[=0]"
    case .one(let value), .several(let value): "--\(name) \(value)"
    }
  }

  var isRepeatable: Bool {
    if case .several = value { true } else { false }
  }
}
