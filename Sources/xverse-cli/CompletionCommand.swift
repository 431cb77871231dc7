// CompletionCommand.swift -- `xverse completion`: the completions of the shells, made from the table that the parser reads.

enum CompletionCommand: Command {
  static let specification = CommandSpecification(
    "completion",
    summary: "Print the completions for a shell.",
    usages: ["bash|zsh|fish"],
    details: """
      'make install' and the packages install them. Without these, load them in your shell's startup file, or save them \
      where the shell looks for completions: as xverse for bash, _xverse for zsh, xverse.fish for fish.
      """,
    examples: [
      Example("For bash, in ~/.bashrc.", "source <(xverse completion bash)"),
      Example("For zsh, in ~/.zshrc after compinit.", "source <(xverse completion zsh)"),
      Example("For fish, in ~/.config/fish/config.fish.", "xverse completion fish | source"),
    ],
    operands: [Operand(name: "SHELL", completion: .choices(scripts.map(\.shell)))])

  private static var scripts: [(shell: String, text: () -> String)] {
    [("bash", { BashCompletion.text }), ("zsh", { ZshCompletion.text }), ("fish", { FishCompletion.text })]
  }

  static func run(_ arguments: Arguments) throws(ToolError) {
    let shell = arguments.operands[0].text
    guard let script = scripts.first(where: { $0.shell == shell }) else {
      throw .usage("'\(shell)' is not a supported shell, expected \(scripts.map(\.shell).joined(separator: ", "))")
    }
    try StandardOutput.write(script.text())
  }
}

/// Needs no package bash-completion.
private enum BashCompletion {
  static var text: String {
    """
    # bash completion for xverse; made by 'xverse completion bash'.

    _xverse() {
      local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} words="" operands=""
      # '=' is a word of its own here.
      if [[ $current == = ]]; then
        option+="="
        current=""
      elif [[ $option == = ]]; then
        option="${COMP_WORDS[COMP_CWORD - 2]}="
      fi
      COMPREPLY=()
      if ((COMP_CWORD == 1)); then
        words="\(Tool.commandNames.joined(separator: " ")) --help --version"
      else
        case ${COMP_WORDS[1]} in
    \(Tool.specifications.map(section).joined(separator: "\n"))
        esac
      fi
      if [[ $operands == files && $current != -* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
      else
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then compopt -o nospace; fi
      fi
    }

    complete -F _xverse xverse

    """
  }

  private static func section(_ command: CommandSpecification) -> String {
    let paths = command.options.filter { $0.completion == .path }
    let free = command.options.filter { $0.takesWord && $0.completion == .nothing }
    let words = command.options.flatMap { ["--" + $0.name] + ($0.short.map { ["-\($0)"] } ?? []) }
    let operands = command.operands.map(\.completion)
    var cases: [String] = []
    for option in command.options {
      guard case .choices(let choices) = option.completion else { continue }
      cases.append("\(patterns([option])) words=\"\(choices.joined(separator: " "))\" ;;")
    }
    if !paths.isEmpty { cases.append("\(patterns(paths)) operands=files ;;") }
    if !free.isEmpty { cases.append("\(patterns(free)) ;;") }
    let others = operands.flatMap(\.words) + words
    let files = operands.contains(.path) ? " operands=files" : ""
    cases.append("*) words=\"\(others.joined(separator: " "))\"\(files) ;;")
    return """
          \(command.name))
            case $option in
      \(cases.map { "        \($0)" }.joined(separator: "\n"))
            esac
            ;;
      """
  }

  private static func patterns(_ options: [OptionSpecification]) -> String {
    options.flatMap { $0.takesWord ? ["--\($0.name)", "--\($0.name)="] : ["--\($0.name)="] }.joined(separator: " | ")
      + ")"
  }
}

private enum ZshCompletion {
  static var text: String {
    """
    #compdef xverse
    # zsh completion for xverse; made by 'xverse completion zsh'.

    _xverse() {
      if ((CURRENT == 2)); then
        local -a commands=(
    \(Tool.specifications.map { "      \(quoted("\($0.name):\($0.summary.withoutFullStop)"))" }.joined(separator: "\n"))
        )
        _describe command commands
        _arguments '--help[Print an overview]' '--version[Print the version]'
        return
      fi
      shift words
      ((CURRENT--))
      case $words[1] in
    \(Tool.specifications.map(section).joined(separator: "\n"))
      esac
    }

    # Loaded by compinit, this is the body of the function; sourced, it defines it.
    if [[ $funcstack[1] == _xverse ]]; then
      _xverse "$@"
    else
      compdef _xverse xverse
    fi

    """
  }

  private static func section(_ command: CommandSpecification) -> String {
    let operands = command.operands.enumerated().map { index, operand in
      let place = operand.isRepeatable ? "*" : "\(index + 1)"
      return quoted("\(place):\(operand.isOptional ? ":" : "")\(operand.name):\(action(operand.completion))")
    }
    let words = command.options.map(option) + operands
    return """
          \(command.name))
            _arguments \\
              \(words.joined(separator: " \\\n        "))
            ;;
      """
  }

  private static func option(_ option: OptionSpecification) -> String {
    let text = "[\(escaped(option.menuText, "[]\\"))]"
    switch option.value {
    case .none:
      guard let short = option.short else { return quoted("--\(option.name)\(text)") }
      return quoted("(-\(short) --\(option.name))") + "{-\(short),--\(option.name)}" + quoted(text)
    case .toggle: return quoted("--\(option.name)=-\(text)::value:\(action(option.completion))")
    case .one(let value, let completion):
      return quoted("--\(option.name)=\(text):\(escaped(value, ":\\")):\(action(completion))")
    case .several(let value): return quoted("*--\(option.name)=\(text):\(value): ")
    }
  }

  private static func action(_ completion: Completion) -> String {
    switch completion {
    case .nothing: " "
    case .path: "_files"
    case .commands, .choices: "(\(completion.words.map { escaped($0, ":\\") }.joined(separator: " ")))"
    }
  }

  private static func escaped(_ text: String, _ special: String) -> String {
    text.reduce(into: "") { $0 += special.contains($1) ? "\\\($1)" : "\($1)" }
  }

  private static func quoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}

private enum FishCompletion {
  static var text: String {
    var lines = ["# fish completion for xverse; made by 'xverse completion fish'.", "", "complete -c xverse -f"]
    lines.append("complete -c xverse -n __fish_use_subcommand -l help -s h -d 'Print an overview'")
    lines.append("complete -c xverse -n __fish_use_subcommand -l version -s V -d 'Print the version'")
    for command in Tool.specifications {
      let summary = quoted(command.summary.withoutFullStop)
      lines.append("complete -c xverse -n __fish_use_subcommand -a \(command.name) -d \(summary)")
    }
    for command in Tool.specifications {
      let start = "complete -c xverse -n '__fish_seen_subcommand_from \(command.name)'"
      for operand in command.operands {
        if operand.completion == .path { lines.append("\(start) -F") }
        if !operand.completion.words.isEmpty { lines.append("\(start) -a \(list(operand.completion))") }
      }
      lines += command.options.map { "\(start) \(option($0))" }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  private static func option(_ option: OptionSpecification) -> String {
    let value =
      switch (option.takesWord, option.completion) {
      case (false, .nothing): ""
      // Behind '=' only.
      case (false, let choices): " -f -a \(list(choices))"
      case (true, .path): " -r -F"
      case (true, .nothing): " -x"
      case (true, let choices): " -x -a \(list(choices))"
      }
    return "-l \(option.name)" + (option.short.map { " -s \($0)" } ?? "") + value + " -d \(quoted(option.menuText))"
  }

  private static func list(_ completion: Completion) -> String { quoted(completion.words.joined(separator: " ")) }

  private static func quoted(_ text: String) -> String {
    "'" + text.reduce(into: "") { $0 += "\\'".contains($1) ? "\\\($1)" : "\($1)" } + "'"
  }
}

extension Completion {
  /// What can be offered word by word.
  fileprivate var words: [String] {
    switch self {
    case .nothing, .path: []
    case .commands: Tool.commandNames
    case .choices(let choices): choices
    }
  }
}
