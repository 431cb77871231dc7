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
      PerplexityCommand.self, ConvertCommand.self, BenchCommand.self, HelpCommand.self,
    ]
  }

  static func main() {
    // A closed pipe then shows as EPIPE from write(), so that the answer can be stopped in order.
    signal(SIGPIPE, SIG_IGN)
    exit(run(Word.ofCommandLine))
  }

  /// Runs one command line, without the program's name, and returns the exit status.
  private static func run(_ words: [Word]) -> Int32 {
    do throws(ToolError) {
      guard let name = words.first else {
        StandardError.write(HelpCommand.overview)
        return ExitStatus.usage
      }
      switch name.text {
      case "--version", "-V": try StandardOutput.write("xverse \(Library.version)\n")
      case "--help", "-h": try StandardOutput.write(HelpCommand.overview)
      default: try run(command(named: name.text), with: Array(words.dropFirst()))
      }
      return ExitStatus.success
    } catch {
      if let message = error.message { StandardError.write("xverse: \(message)\n") }
      return error.exitStatus
    }
  }

  private static func run(_ command: any Command.Type, with words: [Word]) throws(ToolError) {
    let arguments = try Arguments(parsing: words, for: command.specification)
    if arguments.has("help") {
      try StandardOutput.write(HelpCommand.text(for: command.specification))
    } else {
      try command.run(arguments)
    }
  }

  /// The command called `name`; an unknown name is an error that offers the nearest one.
  static func command(named name: String) throws(ToolError) -> any Command.Type {
    if let command = commands.first(where: { $0.specification.name == name }) { return command }
    let hint = Suggestion.nearest(to: name, among: commands.map { $0.specification.name })
    throw .usage("unknown command '\(name)'" + (hint.map { "; did you mean '\($0)'?" } ?? "; see 'xverse help'"))
  }
}
