// HelpCommand.swift -- `xverse help`: the texts for people, made from the table that the parser reads.

import XverseMeasurement

enum HelpCommand: Command {
  static let specification = CommandSpecification(
    "help",
    summary: "Describe the commands and their options.",
    usages: ["[COMMAND]", "--man"],
    examples: [
      Example("List the options of a command.", "xverse help generate"),
      Example("Read the manual page where it is not installed.", "xverse help --man | man -l -"),
    ],
    operands: [
      Operand(name: "COMMAND", completion: .commands, isOptional: true)
    ],
    groups: [
      OptionGroup(OptionGroup.output, [.flag("man", "Print the manual page xverse(1), in the language of man.")])
    ])

  static func run(_ arguments: Arguments) throws(ToolError) {
    let name = arguments.operands.first
    if arguments.has("man") {
      if name != nil { throw .usage("--man prints one page for all commands: leave out COMMAND") }
      return try StandardOutput.write(ManualPage.text)
    }
    guard let name else { return try StandardOutput.write(overview(for: StandardOutput.terminal)) }
    try printHelp(for: try Tool.command(named: name.text).specification)
  }

  static func printHelp(for specification: CommandSpecification) throws(ToolError) {
    try StandardOutput.write(text(for: specification, StandardOutput.terminal))
  }

  /// For whoever has not named a command.
  static func overview(for terminal: Terminal) -> String {
    let page = HelpPage(terminal)
    var text = "xverse \(Library.version): run XVERSE language models on this computer\n\n"
    text += page.usage(Manual.usages) + "\n" + page.paragraphs(Manual.arguments)
    text += page.list("Commands", Tool.specifications.map { ($0.name, $0.summary) }, indent: 14)
    text += page.examples([
      Example("Talk with a chat model.", "xverse chat XVERSE-7B-Chat"),
      Example("Continue a text.", "xverse generate XVERSE-7B-Chat \"Once upon a time\""),
    ])
    text += page.list("Exit status", Manual.exitStatus, indent: 14)
    text += page.list("Environment", Manual.environment, indent: 14)
    text += "\n\(page.title("JSON")):\n" + page.paragraphs(Manual.json, indent: 2)
    return text + "\n'xverse help COMMAND' describes a command; 'man xverse' describes everything.\n"
  }

  static func text(for specification: CommandSpecification, _ terminal: Terminal) -> String {
    let page = HelpPage(terminal)
    var text = page.usage(specification.usages.map { "\(specification.name) \($0)" })
    text += "\n\(specification.summary)\n"
    if !specification.details.isEmpty { text += "\n" + page.paragraphs(specification.details) }
    text += page.examples(specification.examples)
    for group in specification.groups {
      text += page.list(group.title, group.options.map { ($0.synopsis, $0.description) }, indent: 26)
    }
    return text
  }
}

/// Text in lines of 80 columns at most.
private struct HelpPage {
  private static let width = 80
  private let terminal: Terminal

  init(_ terminal: Terminal) { self.terminal = terminal }

  func title(_ text: String) -> String { terminal.bold(text) }

  func usage(_ usages: [String]) -> String {
    usages.enumerated().map { index, usage in
      (index == 0 ? "\(title("usage")): " : "       ") + "xverse \(usage)\n"
    }.joined()
  }

  func paragraphs(_ text: String, indent: Int = 0) -> String {
    Manual.paragraphs(text).map { paragraph in
      switch paragraph {
      case .words(let words): Self.wrapped(words, indent: indent).joined(separator: "\n") + "\n"
      case .verbatim(let lines): lines.joined(separator: "\n") + "\n"
      }
    }.joined(separator: "\n")
  }

  func examples(_ examples: [Example]) -> String {
    if examples.isEmpty { return "" }
    return "\n\(title("Examples")):\n" + examples.map { "  # \($0.purpose)\n  \($0.command)\n" }.joined()
  }

  /// A titled list of names with texts beside them, or below those that are too long.
  func list(_ title: String, _ entries: [(name: String, text: String)], indent: Int) -> String {
    var text = "\n\(self.title(title)):\n"
    for entry in entries {
      let lines = Self.wrapped(entry.text, indent: indent)
      let name = "  \(entry.name)"
      if name.count + 2 <= indent {
        text += Format.padded(name, indent) + lines[0].dropFirst(indent) + "\n"
        text += lines.dropFirst().map { $0 + "\n" }.joined()
      } else {
        text += name + "\n" + lines.map { $0 + "\n" }.joined()
      }
    }
    return text
  }

  /// Lines of words, each after `indent` spaces; at least one.
  private static func wrapped(_ text: String, indent: Int) -> [String] {
    let margin = String(repeating: " ", count: indent)
    var lines = [margin]
    for word in text.split(whereSeparator: \.isWhitespace) {
      let line = lines[lines.count - 1]
      if line.count == indent {
        lines[lines.count - 1] += word
      } else if line.count + 1 + word.count <= width {
        lines[lines.count - 1] += " " + word
      } else {
        lines.append(margin + word)
      }
    }
    return lines
  }
}
