// Tool.swift -- where the `xverse` program starts: finds the command, runs it, turns the outcome into an exit status.
//
// The tool stands on include/xverse.h alone, like any other embedder: what it cannot do, no program can.

import CXverse
import Glibc

@main
enum Tool {
  /// In the order of the help text.
  static var commands: [any Command.Type] {
    [
      GenerateCommand.self, ChatCommand.self, InfoCommand.self, TokenizeCommand.self, ScoreCommand.self,
      PerplexityCommand.self, ConvertCommand.self, BenchCommand.self, CompletionCommand.self, HelpCommand.self,
    ]
  }

  static var specifications: [CommandSpecification] { commands.map { $0.specification } }
  static var commandNames: [String] { specifications.map(\.name) }

  static func main() {
    // A closed pipe then shows as EPIPE from write(), so that the answer can be stopped in order.
    signal(SIGPIPE, SIG_IGN)
    exit(run(Word.ofCommandLine))
  }

  /// Runs one command line, without the program's name, and returns the exit status.
  private static func run(_ words: [Word]) -> Int32 {
    do throws(ToolError) {
      guard let name = words.first else {
        StandardError.write(HelpCommand.overview(for: StandardError.terminal))
        return ExitStatus.usage
      }
      switch name.text {
      case "--version", "-V": try StandardOutput.write("xverse \(Library.version)\n")
      case "--help", "-h": try StandardOutput.write(HelpCommand.overview(for: StandardOutput.terminal))
      default: try run(command(named: name.text), with: Array(words.dropFirst()))
      }
      return ExitStatus.success
    } catch {
      let endOfOptions = words.firstIndex { $0.text == "--" } ?? words.endIndex
      report(error, asJSON: words[..<endOfOptions].contains { $0.text == "--json" })
      return error.exitStatus
    }
  }

  private static func report(_ error: ToolError, asJSON: Bool) {
    guard let message = error.message else { return }
    if asJSON {
      let members = error.members + [("exit_status", .integer(error.exitStatus))]
      StandardError.write(JSON.object([("error", .object(members))]).text + "\n")
    } else {
      StandardError.write("\(StandardError.terminal.red("xverse:")) \(message)\n")
    }
  }

  private static func run(_ command: any Command.Type, with words: [Word]) throws(ToolError) {
    let arguments = try Arguments(parsing: words, for: command.specification)
    if arguments.has("help") {
      try HelpCommand.printHelp(for: command.specification)
    } else {
      try command.run(arguments)
    }
  }

  /// The command called `name`; an unknown name is an error that offers the nearest one.
  static func command(named name: String) throws(ToolError) -> any Command.Type {
    if let command = commands.first(where: { $0.specification.name == name }) { return command }
    let hint = Suggestion.nearest(to: name, among: commandNames)
    throw .usage("unknown command '\(name)'" + (hint.map { "; did you mean '\($0)'?" } ?? "; see 'xverse help'"))
  }
}
