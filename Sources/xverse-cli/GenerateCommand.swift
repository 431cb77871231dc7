// GenerateCommand.swift -- `xverse generate`: continues a text, or answers one message.

import CXverse
import XverseMeasurement

enum GenerateCommand: Command {
  static let specification = CommandSpecification(
    "generate",
    summary: "Continue a text, or answer one message.",
    usages: [
      "MODEL PROMPT|- [options]", "MODEL --prompt-file FILE [options]", "MODEL --input FILE --output FILE [options]",
    ],
    details: """
      Writes the continuation of PROMPT to standard output while it is generated; '-' reads the prompt from standard \
      input. Sampling options that are not given come from the model's generation_config.json. With --logprobs the \
      tokens are listed after the text. Ctrl-C ends the answer. With --json the object has "text", "finish_reason", \
      "tokens", "logprobs" (with --logprobs) and "stats".

      \(GenerateBatch.details)
      """,
    examples: [
      Example("Continue a text.", "xverse generate XVERSE-7B-Chat \"Once upon a time\" --max-new-tokens 60"),
      Example(
        "Ask a chat model; the same answer each time.",
        "xverse generate XVERSE-7B-Chat \"What is a library?\" --chat --greedy"),
      Example(
        "Answer a file of prompts.", "xverse generate XVERSE-7B-Chat --input prompts.jsonl --output answers.jsonl"),
    ],
    operands: [.model, Operand(name: "PROMPT", completion: .nothing, isOptional: true)],
    groups: [
      OptionGroup(
        "Prompt",
        [
          .path("prompt-file", "Read the prompt from FILE."),
          .flag("chat", "Treat the prompt as one user message for a chat model."),
          .text("system", "TEXT", "With --chat: a system message before it."),
          .text("prefill", "TEXT", "With --chat: the beginning of the answer, which the model continues."),
        ]),
      OptionGroup("Batch", Batch.options), Scheduler.options, Request.options(), Session.options,
    ] + Model.options + [
      OptionGroup(
        OptionGroup.output,
        [OptionGroup.json, .flag("stats", "Print counts and speeds to standard error at the end."), OptionGroup.quiet])
    ])

  static func run(_ arguments: Arguments) throws(ToolError) {
    if arguments.has("input") { return try GenerateBatch.run(arguments) }
    for option in Batch.options + Scheduler.options.options where arguments.has(option.name) {
      throw .usage("--\(option.name) needs --input")
    }
    for option in ["system", "prefill"] where arguments.has(option) && !arguments.has("chat") {
      throw .usage("--\(option) needs --chat")
    }
    let sampling = try Request.sampling(from: arguments)
    try Session.check(arguments)
    try Interrupt.install()
    let prompt = try readPrompt(arguments)
    let model = try Model(arguments)
    let session = try Session(model, arguments)
    let request = try Request(model, sampling)
    if arguments.has("chat") {
      if let system = arguments.word("system") { try request.add(role: "system", text: system.characters) }
      try request.add(role: "user", text: prompt)
      if let prefill = arguments.word("prefill") { try request.add(role: "assistant", text: prefill.characters) }
    } else {
      try request.add(text: prompt)
    }
    let isStreaming = !arguments.has("json")
    let stream = AnswerStream(Progress(arguments)) { (piece) throws(ToolError) in
      if isStreaming { try StandardOutput.write(piece) }
    }
    let answer = try stream.run(request, in: session)
    try report(answer, model.tokenizer, arguments)
    if answer.isCancelled { throw .interrupted }
  }

  private static func readPrompt(_ arguments: Arguments) throws(ToolError) -> [CChar] {
    let operand = arguments.operands.count == 2 ? arguments.operands[1] : nil
    let file = arguments.word("prompt-file")
    if operand != nil, file != nil { throw .usage("the prompt is given twice: as an argument and by --prompt-file") }
    if let operand, operand.text != "-" { return operand.characters }
    guard let path = file ?? operand else {
      throw .usage("no prompt: give PROMPT, --prompt-file FILE, or '-' for standard input")
    }
    var reader = try InputReader(path: path)
    return try reader.readAll()
  }

  private static func report(_ answer: Answer, _ tokenizer: Tokenizer, _ arguments: Arguments) throws(ToolError) {
    if arguments.has("json") {
      try StandardOutput.write(json(answer).text + "\n")
    } else {
      try StandardOutput.write("\n")
      for (token, logprob) in zip(answer.tokens, answer.logprobs) {
        let piece = try tokenizer.quotedPiece(token)
        try StandardOutput.write("\(Format.rightAligned(Format.fixed(Double(logprob), 4), 10))  \(token)  \(piece)\n")
      }
    }
    if arguments.has("stats") { StandardError.write(answer.summary + "\n") }
  }

  private static func json(_ answer: Answer) -> JSON {
    var members: [(key: String, value: JSON)] = [
      ("text", .string(String(characters: answer.text))),
      ("finish_reason", .string(answer.finishReason)),
      ("tokens", .array(answer.tokens.map { .integer($0) })),
    ]
    if !answer.logprobs.isEmpty {
      members.append(("logprobs", .array(answer.logprobs.map { .real(Double($0)) })))
    }
    members.append(("stats", json(answer.stats)))
    return .object(members)
  }

  private static func json(_ stats: xverse_stats) -> JSON {
    .object([
      ("prompt_tokens", .integer(stats.n_prompt)), ("cached_tokens", .integer(stats.n_cached)),
      ("generated_tokens", .integer(stats.n_generated)),
      ("prefill_seconds", .real(Double(stats.ns_prefill) / 1e9)),
      ("first_token_seconds", .real(Double(stats.ns_first_token) / 1e9)),
      ("decode_seconds", .real(Double(stats.ns_decode) / 1e9)),
    ])
  }
}

extension String {
  /// The UTF-8 bytes as C's characters, without a terminator.
  var characters: [CChar] { utf8.map { CChar(bitPattern: $0) } }

  init(characters: [CChar]) {
    self = characters.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
  }
}
