// HelpCommand.swift -- `xverse help`: the texts for people, made from the same descriptions that the parser uses.

import XverseMeasurement

enum HelpCommand: Command {
  static let specification = CommandSpecification(
    "help", summary: "Explain a command.", usage: "[COMMAND]", operands: 0...1)

  static func run(_ arguments: Arguments) throws(ToolError) {
    guard let name = arguments.operands.first else { return try StandardOutput.write(overview) }
    try StandardOutput.write(text(for: try Tool.command(named: name.text).specification))
  }

  static var overview: String {
    let commands = Tool.commands.map { $0.specification }
    let width = commands.map(\.name.count).max() ?? 0
    let list = commands.map { "  \(Format.padded($0.name, width))   \($0.summary)\n" }.joined()
    return """
      xverse \(Library.version) -- runs XVERSE language models on this computer

      usage: xverse COMMAND [arguments]
             xverse --version

      \(list)
      'xverse help COMMAND' explains a command.

      """
  }

  static func text(for specification: CommandSpecification) -> String {
    let names = specification.options.map(\.synopsis)
    let width = names.map(\.count).max() ?? 0
    var text = "usage: xverse \(specification.name) \(specification.usage)\n\n\(specification.summary)\n"
    if !specification.details.isEmpty { text += "\n\(specification.details)\n" }
    text += "\noptions:\n"
    for (name, option) in zip(names, specification.options) {
      text += "  \(Format.padded(name, width))   \(option.help)\n"
    }
    return text
  }
}
