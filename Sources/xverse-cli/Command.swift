// Command.swift -- what a command tells about itself: the parser, the help, the manual page and the completions of the shells
// all read this table.

/// One subcommand of the tool.
protocol Command {
  static var specification: CommandSpecification { get }
  static func run(_ arguments: Arguments) throws(ToolError)
}

/// The shape of a command line: enough to parse it, to check it and to describe it.
struct CommandSpecification: Sendable {
  let name: String
  let summary: String
  /// What follows the name in a usage line, one string for each way to use the command.
  let usages: [String]
  /// Paragraphs with blank lines between them; lines that are indented stay as they are.
  let details: String
  let examples: [Example]
  let operands: [Operand]
  let groups: [OptionGroup]

  init(
    _ name: String, summary: String, usages: [String], details: String = "", examples: [Example],
    operands: [Operand], groups: [OptionGroup] = []
  ) {
    self.name = name
    self.summary = summary
    self.usages = usages
    self.details = details
    self.examples = examples
    self.operands = operands
    self.groups = groups + [OptionGroup("General", [.flag("help", short: "h", "Print this text.")])]
  }

  var options: [OptionSpecification] { groups.flatMap(\.options) }

  /// How many operands (words that are not options) are allowed.
  var operandCount: ClosedRange<Int> {
    let least = operands.count { !$0.isOptional }
    return least...(operands.last?.isRepeatable == true ? Int.max : operands.count)
  }
}

/// A command line that works, and what it is good for.
struct Example: Sendable {
  let purpose: String
  let command: String

  init(_ purpose: String, _ command: String) {
    self.purpose = purpose
    self.command = command
  }
}

/// What a shell can offer for a value.
enum Completion: Equatable, Sendable {
  case nothing
  /// Files and directories.
  case path
  /// The names of the commands.
  case commands
  /// One of these; a choice that ends in ':' is the beginning of a value.
  case choices([String])
}

/// A word that is no option, named by its place.
struct Operand: Sendable {
  let name: String
  let completion: Completion
  var isOptional = false
  var isRepeatable = false

  static let model = Operand(name: "MODEL", completion: .path)
}

/// Options that belong together, under one title in the help.
struct OptionGroup: Sendable {
  let title: String
  let options: [OptionSpecification]

  init(_ title: String, _ options: [OptionSpecification]) {
    self.title = title
    self.options = options
  }

  static let output = "Output"
  static let json = OptionSpecification.flag("json", "Print one JSON object, and errors as JSON; see 'xverse help'.")
  static let quiet = OptionSpecification.flag("quiet", short: "q", "Show no progress.")
}

/// One option of a command, `--name VALUE` or the flag `--name`.
struct OptionSpecification: Equatable, Sendable {
  let name: String
  /// The letter of `-x`.
  var short: Character?
  let value: Value
  /// One sentence, or a few.
  let help: String
  /// Bounds and default, where they are known.
  var facts: [String] = []

  enum Value: Equatable, Sendable {
    /// `--name`
    case none
    /// `--name`, or `--name=0` to switch it off.
    case toggle
    /// `--name VALUE`; the text stands for the value in the help.
    case one(String, Completion)
    /// `--name VALUE`, once or more.
    case several(String)
  }

  static func flag(_ name: String, short: Character? = nil, _ help: String) -> Self {
    Self(name: name, short: short, value: .none, help: help)
  }

  /// An option whose value is any text.
  static func text(_ name: String, _ value: String, _ help: String) -> Self {
    Self(name: name, value: .one(value, .nothing), help: help)
  }

  static func path(_ name: String, _ help: String) -> Self {
    Self(name: name, value: .one("FILE", .path), help: help)
  }

  static func number(
    _ name: String, _ value: String, _ range: ClosedRange<Int>, default: String, _ help: String
  ) -> Self {
    Self(
      name: name, value: .one(value, .nothing), help: help,
      facts: ["\(range.lowerBound) to \(range.upperBound)", "default: \(`default`)"])
  }

  /// "--name VALUE"
  var synopsis: String {
    let spelled = (short.map { "-\($0), " } ?? "") + "--\(name)"
    return switch value {
    case .none: spelled
    case .toggle: spelled + "[=0|1]"
    case .one(let value, _), .several(let value): spelled + " " + value
    }
  }

  /// What the help says after the synopsis.
  var description: String { facts.isEmpty ? help : "\(help) [\(facts.joined(separator: "; "))]" }

  /// The words for a menu of a shell: the first part of the first sentence, without the full stop.
  var menuText: String {
    let sentence = help.split(separator: ". ", maxSplits: 1).first ?? ""
    let isList = sentence.first?.isNumber ?? false
    return String(isList ? sentence : sentence.prefix { $0 != ";" }).withoutFullStop
  }

  var completion: Completion {
    switch value {
    case .one(_, let completion): completion
    case .toggle: .choices(["0", "1"])
    case .none, .several: .nothing
    }
  }

  /// Whether the next word is the value.
  var takesWord: Bool {
    switch value {
    case .none, .toggle: false
    case .one, .several: true
    }
  }

  var isRepeatable: Bool {
    if case .several = value { true } else { false }
  }
}

extension String {
  var withoutFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
