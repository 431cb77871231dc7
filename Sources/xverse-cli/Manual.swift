// Manual.swift -- what there is to say about the tool as a whole, for the help and the manual page.

enum Manual {
  static let usages = ["COMMAND [ARGUMENTS]", "help [COMMAND]", "--version"]

  static let arguments = """
    A MODEL is a directory in Hugging Face's layout, a GGUF file, or a checkpoint file with its configuration and \
    tokenizer beside it. Options may stand before or after the other arguments; '--' ends them, and --key=value is the \
    same as --key value. BYTES may have a unit: 5GB is 5000000000 bytes, 4GiB is 4294967296.
    """

  static let exitStatus: [(name: String, text: String)] = [
    ("\(ExitStatus.success)", "Success."),
    (
      "\(ExitStatus.failure)",
      "Something failed while running. With --input: all lines were processed, and some of them failed."
    ),
    ("\(ExitStatus.usage)", "The command line is wrong. Nothing was written."),
    ("\(ExitStatus.interrupted)", "Interrupted with Ctrl-C (SIGINT). With --input, --resume continues the run."),
    ("\(ExitStatus.outputClosed)", "The reader of standard output closed it (SIGPIPE)."),
  ]

  static let environment: [(name: String, text: String)] = [
    ("XVERSE_NUM_THREADS, XVERSE_THREADING", "Defaults of --threads and --threading."),
    ("XVERSE_LOG", "What the library logs to standard error: off, error, warn, info or debug."),
    (
      "NO_COLOR",
      "When set and not empty, no colors are used. Nor are they when TERM is dumb or the output is not a terminal."
    ),
  ]

  static let json = """
    With --json a command prints one JSON object to standard output and nothing else. When it fails, standard output is \
    empty and the last line of standard error is {"error": {"status": "XVERSE_E_...", "message": "...", "exit_status": \
    N}}; --quiet omits the progress before it. Two exceptions print the object all the same: --input when lines failed, \
    and an answer that was interrupted, with the text so far.
    """

  enum Paragraph {
    case words(String)
    /// Lines that are indented.
    case verbatim([String])
  }

  /// Blank lines end a paragraph.
  static func paragraphs(_ text: String) -> [Paragraph] {
    text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init).split(separator: "").map { lines in
      lines.allSatisfy { $0.hasPrefix(" ") } ? .verbatim(Array(lines)) : .words(lines.joined(separator: " "))
    }
  }

  /// The commands' options by title, each option once: many commands load a model, and all of them in the same way.
  static func sharedGroups(of commands: [CommandSpecification]) -> [SharedGroup] {
    var groups: [SharedGroup] = []
    for command in commands {
      for group in command.groups {
        let index = groups.firstIndex { $0.title == group.title } ?? groups.endIndex
        if index == groups.endIndex { groups.append(SharedGroup(title: group.title)) }
        groups[index].add(group.options, of: command.name)
      }
    }
    return groups
  }

  struct SharedGroup {
    let title: String
    private(set) var commands: [String] = []
    private(set) var options: [(option: OptionSpecification, commands: [String])] = []

    init(title: String) { self.title = title }

    fileprivate mutating func add(_ more: [OptionSpecification], of command: String) {
      commands.append(command)
      for option in more {
        if let index = options.firstIndex(where: { $0.option == option }) {
          options[index].commands.append(command)
        } else {
          options.append((option, [command]))
        }
      }
    }
  }
}
