// ManualPage.swift -- xverse(1) in the man(7) language of troff, made from the table that the parser reads.

import Glibc

enum ManualPage {
  static var text: String {
    let commands = Tool.specifications
    var page = """
      .TH XVERSE 1 "\(date)" "xverse \(Library.version)" "User Commands"
      .SH NAME
      xverse \\- run XVERSE language models on CPUs
      .SH SYNOPSIS

      """
    page += Manual.usages.enumerated().map { ($0 == 0 ? "" : ".br\n") + usage($1) }.joined()
    page += """
      .SH DESCRIPTION
      \(escaped(Manual.arguments))
      .SH COMMANDS

      """
    page += commands.map(section).joined()
    page += ".SH OPTIONS\n"
    page += Manual.sharedGroups(of: commands).map { options($0, commandCount: commands.count) }.joined()
    page += ".SH JSON\n\(escaped(Manual.json))\n"
    page += ".SH EXIT STATUS\n" + Manual.exitStatus.map(entry).joined()
    page += ".SH ENVIRONMENT\n" + Manual.environment.map(entry).joined()
    return page
  }

  /// Today, or the day that reproducible builds ask for.
  private static var date: String {
    var seconds = getenv("SOURCE_DATE_EPOCH").flatMap { time_t(String(cString: $0)) } ?? time(nil)
    var day = tm()
    if gmtime_r(&seconds, &day) == nil { return "" }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      let count = strftime(buffer.baseAddress, buffer.count, "%Y-%m-%d", &day)
      return String(decoding: UnsafeRawBufferPointer(buffer).prefix(count), as: UTF8.self)
    }
  }

  private static func usage(_ arguments: String) -> String { ".B xverse\n\(escaped(arguments))\n" }

  private static func section(_ command: CommandSpecification) -> String {
    var text = ".SS xverse \(escaped(command.name))\n\(escaped(command.summary))\n.PP\n"
    text += command.usages.enumerated().map { ($0 == 0 ? "" : ".br\n") + usage("\(command.name) \($1)") }.joined()
    for paragraph in Manual.paragraphs(command.details) {
      switch paragraph {
      case .words(let words): text += ".PP\n\(escaped(words))\n"
      case .verbatim(let lines): text += verbatim(lines)
      }
    }
    for example in command.examples {
      text += ".PP\n\(escaped(example.purpose))\n" + verbatim([example.command])
    }
    let groups = command.groups.map(\.title)
    return text + ".PP\nOptions (described below): \(escaped(groups.joined(separator: ", "))).\n"
  }

  private static func verbatim(_ lines: [String]) -> String {
    ".PP\n.in +4n\n.nf\n" + lines.map { escaped($0) + "\n" }.joined() + ".fi\n.in\n"
  }

  private static func options(_ group: Manual.SharedGroup, commandCount: Int) -> String {
    var text = ".SS \(escaped(group.title))\n"
    if group.commands.count < commandCount { text += "For \(list(group.commands)).\n" }
    for (option, commands) in group.options {
      let remark = commands.count < group.commands.count ? " Only for \(list(commands))." : ""
      text += ".TP\n.B \(escaped(option.synopsis))\n\(escaped(option.description + remark))\n"
    }
    return text
  }

  private static func entry(_ entry: (name: String, text: String)) -> String {
    ".TP\n.B \(escaped(entry.name))\n\(escaped(entry.text))\n"
  }

  /// "chat, info and score"
  private static func list(_ names: [String]) -> String {
    names.count < 2 ? names.joined() : names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
  }

  /// `text` so that troff shows it as it is: hyphens that can be copied, and no line that looks like a request.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "\\": result += "\\e"
      case "-": result += "\\-"
      case "'": result += "\\(aq"
      case "`": result += "\\(ga"
      case "^": result += "\\(ha"
      case "~": result += "\\(ti"
      case "\"": result += "\\(dq"
      default: result.append(character)
      }
    }
    return result.hasPrefix(".") ? "\\&" + result : result
  }
}
