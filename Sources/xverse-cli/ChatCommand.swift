// ChatCommand.swift -- `xverse chat`: a conversation on the terminal, or through pipes, one message a line.

enum ChatCommand: Command {
  static let specification = CommandSpecification(
    "chat",
    summary: "Talk with a chat model.",
    usages: ["MODEL [options]"],
    details: """
      Reads one message from each line and prints the answers while they are generated. Ctrl-C stops an answer; at the \
      prompt, Ctrl-D or a second Ctrl-C ends the chat. --save writes the conversation and the model's KV cache to FILE \
      after each answer, which can make it large. --resume continues it; the model and --kv-type must be the same. Lines \
      that start with '/' are commands:

      \(indented(commandList))
      """,
    examples: [
      Example("Chat.", "xverse chat XVERSE-7B-Chat"),
      Example(
        "Chat with a system message and less random answers.",
        "xverse chat XVERSE-7B-Chat --system \"Be brief.\" --temperature 0.3"),
      Example("Keep the conversation in a file.", "xverse chat XVERSE-7B-Chat --save friday.chat"),
    ],
    operands: [.model],
    groups: [
      OptionGroup(
        "Conversation",
        [
          .text("system", "TEXT", "A system message before the conversation."),
          .path("save", "Save the conversation to FILE after each answer."),
          .path("resume", "Continue the conversation that --save left in FILE."),
        ]), Request.options(except: ["logprobs"]), Session.options,
    ] + Model.options + [
      OptionGroup(
        OptionGroup.output,
        [
          .flag("echo", "Print each message before its answer when it is not typed at a prompt."),
          .flag("stats", "Print counts and speeds to standard error after each answer."), OptionGroup.quiet,
        ])
    ])

  private static func indented(_ text: String) -> String {
    text.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
  }

  fileprivate static let commandList = """
    /reset          start a new conversation
    /system TEXT    start a new conversation with this system message, or none
    /help           list these commands
    /exit           end the chat
    """

  static func run(_ arguments: Arguments) throws(ToolError) {
    if arguments.has("resume"), arguments.has("system") {
      throw .usage("--resume and --system cannot be used together: the conversation has its system message")
    }
    let sampling = try Request.sampling(from: arguments)
    try Session.check(arguments)
    try Interrupt.install()
    let model = try Model(arguments)
    var conversation = Conversation(
      model: model, session: try Session(model, arguments), sampling: sampling, saved: arguments.word("save"),
      echoes: arguments.has("echo"), printsStats: arguments.has("stats"), progress: Progress(arguments))
    conversation.reset(system: arguments.string("system") ?? "")
    if let file = arguments.word("resume") { try conversation.resume(file) }
    try conversation.run()
  }
}

/// The messages so far and the loop that adds to them.
private struct Conversation {
  let model: Model
  let session: Session
  let sampling: LibraryOptions
  /// The file that has the conversation after each answer.
  let saved: Word?
  let echoes: Bool
  let printsStats: Bool
  private let progress: Progress
  private var messages: [ChatMessage] = []
  private let isInteractive = InputReader.isTerminal && StandardOutput.isTerminal

  init(
    model: Model, session: Session, sampling: LibraryOptions, saved: Word?, echoes: Bool, printsStats: Bool,
    progress: Progress
  ) {
    self.model = model
    self.session = session
    self.sampling = sampling
    self.saved = saved
    self.echoes = echoes
    self.printsStats = printsStats
    self.progress = progress
  }

  mutating func reset(system: String) {
    messages = system.isEmpty ? [] : [("system", system.characters)]
  }

  /// Goes on with the conversation in a file.
  mutating func resume(_ file: Word) throws(ToolError) {
    try session.restore(file)
    messages = try ChatNote.messages(in: session.note(), of: file.text)
  }

  private func save() throws(ToolError) {
    guard let saved else { return }
    try session.setNote(ChatNote.bytes(of: messages))
    try session.save(saved)
  }

  mutating func run() throws(ToolError) {
    var input = try InputReader(path: "-")
    if isInteractive { try StandardOutput.write("/help lists the commands.\n") }
    while let line = try nextLine(&input) {
      if echoes, !isInteractive, !line.isEmpty { try StandardOutput.write("> \(String(characters: line))\n") }
      if line.first == CChar(UInt8(ascii: "/")) {
        if try obey(String(characters: line)) == .leave { return }
      } else if !line.isEmpty {
        try answer(line)
      }
    }
    if isInteractive { try StandardOutput.write("\n") }
  }

  /// The next line; nil at the end of the input or after Ctrl-C twice in a row at the prompt.
  private func nextLine(_ input: inout InputReader) throws(ToolError) -> [CChar]? {
    Interrupt.reset()
    var wasInterrupted = false
    while true {
      if isInteractive { try StandardOutput.write(StandardOutput.terminal.bold("> ")) }
      do throws(ToolError) {
        return try input.readLine()
      } catch .interrupted where isInteractive {
        if wasInterrupted { return nil }
        wasInterrupted = true
        Interrupt.reset()
        try StandardOutput.write("\n(Ctrl-C again, Ctrl-D or /exit ends the chat)\n")
      }
    }
  }

  private enum Next { case goOn, leave }

  private mutating func obey(_ line: String) throws(ToolError) -> Next {
    let words = line.split(separator: " ", maxSplits: 1)
    switch words.first {
    case "/exit", "/quit": return .leave
    case "/reset": reset(system: "")
    case "/system": reset(system: words.count == 2 ? String(words[1]) : "")
    case "/help": try StandardOutput.write(ChatCommand.commandList + "\n")
    default:
      let known = ["/exit", "/reset", "/system", "/help"]
      let nearest = Suggestion.nearest(to: String(words.first ?? ""), among: known)
      StandardError.write("unknown command; " + (nearest.map { "did you mean \($0)?" } ?? "try /help") + "\n")
    }
    return .goOn
  }

  /// Streams the answer to `line`; both join the conversation, unless the library refuses.
  private mutating func answer(_ line: [CChar]) throws(ToolError) {
    let request = try Request(model, sampling)
    for message in messages { try request.add(role: message.role, text: message.text) }
    try request.add(role: "user", text: line)
    let stream = AnswerStream(progress) { (piece) throws(ToolError) in try StandardOutput.write(piece) }
    do throws(ToolError) {
      let answer = try stream.run(request, in: session)
      messages += [("user", line), ("assistant", answer.text)]
      try StandardOutput.write("\n")
      if printsStats { StandardError.write(answer.summary + "\n") }
      try save()
      if answer.isCancelled, !isInteractive { throw .interrupted }
    } catch .failure(let message, _) where isInteractive {
      StandardError.write("\(StandardError.terminal.red("xverse:")) \(message)\n")
    }
  }
}
