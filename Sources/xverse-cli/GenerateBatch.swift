// GenerateBatch.swift -- `xverse generate --input`: many prompts through a scheduler, answers in the order of the prompts.

import CXverse
import XverseMeasurement

final class GenerateBatch {
  static let details = """
    With --input and --output, many prompts are answered together. A line of the input has {"prompt": TEXT} or \
    {"messages": [{"role": ..., "content": TEXT}, ...]}. It may have "id" or "custom_id", and sampling options by the \
    library's names, such as "max_new_tokens" or "seed"; options on the command line apply to all other lines, so --seed \
    is the seed of each of them. An answer has "text", "finish_reason", "n_prompt" and "n_generated"; with --logprobs \
    also "tokens" and "logprobs".

    \(Batch.details)
    """

  /// So many lines at most have been read and have no answer in the output yet.
  private static let mostHeld = 1024

  private let batch: Batch
  private let arguments: Arguments
  private let model: Model
  private let scheduler: Scheduler
  /// Lines without an answer in the output, in the order of the input.
  private var held: [HeldAnswer] = []
  /// Those of them that the scheduler works at.
  private var running: [UInt64: HeldAnswer] = [:]
  /// The line that comes next, while the scheduler takes no more.
  private var refused: BatchLine?
  private var isAtEnd = false

  static func run(_ arguments: Arguments) throws(ToolError) {
    for option in ["prompt-file", "chat", "system", "prefill", "overflow"] where arguments.has(option) {
      throw .usage("--\(option) and --input cannot be used together")
    }
    if arguments.operands.count > 1 { throw .usage("the prompt is given twice: as an argument and by --input") }
    // What is wrong with the options is said before anything is opened.
    _ = try Request.sampling(from: arguments)
    _ = try LibraryOptions(.scheduler, from: arguments)
    try Batch.run(arguments) { (batch) throws(ToolError) in
      let generation = try GenerateBatch(batch, arguments)
      try generation.run()
      return arguments.has("stats") ? try generation.scheduler.summary() : nil
    }
  }

  private init(_ batch: Batch, _ arguments: Arguments) throws(ToolError) {
    self.batch = batch
    self.arguments = arguments
    model = try Model(arguments)
    scheduler = try Scheduler(model, arguments)
  }

  private func run() throws(ToolError) {
    batch.showProgress()
    while true {
      try submitLines()
      try writeAnswers()
      if held.isEmpty, isAtEnd { break }
      // In pieces, for Ctrl-C and the progress.
      try scheduler.next(timeout: running.isEmpty ? 1 : 200) { receive($0) }
      try Interrupt.check()
      batch.showProgress()
    }
  }

  /// Reads and submits lines until enough are under way.
  private func submitLines() throws(ToolError) {
    while held.count < Self.mostHeld, refused == nil || scheduler.hasRoom {
      // Who writes the input may wait for an answer first.
      if refused == nil, !held.isEmpty, !batch.hasLine { return }
      var next = refused
      if next == nil { next = try batch.nextLine() }
      guard let line = next else {
        isAtEnd = true
        return
      }
      refused = nil
      let answer = HeldAnswer(line)
      do throws(ToolError) {
        guard let id = try scheduler.submit(try request(for: line)) else {
          refused = line
          return
        }
        running[id] = answer
      } catch .failure(let message, let status) {
        answer.outcome = .failure(.failure(message, status: status))
      }
      held.append(answer)
    }
  }

  private func request(for line: BatchLine) throws(ToolError) -> Request {
    var prompt: JSON?
    var messages: JSON?
    var options: [(key: String, value: JSON)] = []
    for member in try line.members.get() {
      switch member.key {
      case "prompt": prompt = member.value
      case "messages": messages = member.value
      case "n": throw .invalid("\"n\" is not supported: a line has one answer")
      default: options.append(member)
      }
    }
    let sampling = try Request.sampling(from: arguments)
    if !options.isEmpty { try sampling.set(.object(options)) }
    let request = try Request(model, sampling)
    switch (prompt, messages) {
    case (.string(let text), nil): try request.add(text: text.characters)
    case (nil, .array(let messages)):
      for message in messages { try add(message, to: request) }
    case (_?, _?): throw .invalid("the line has both \"prompt\" and \"messages\"")
    case (nil, nil): throw .invalid("the line has neither \"prompt\" nor \"messages\"")
    case (_?, nil): throw .invalid("\"prompt\" is not a string")
    case (nil, _?): throw .invalid("\"messages\" is not an array")
    }
    return request
  }

  private func add(_ message: JSON, to request: Request) throws(ToolError) {
    guard case .object(let members) = message, members.count == 2, let role = message["role"].stringValue,
      let content = message["content"].stringValue
    else { throw .invalid("a message is not an object of \"role\" and \"content\", both strings") }
    try request.add(role: role, text: content.characters)
  }

  private func receive(_ event: xverse_event) {
    guard let answer = running[event.request_id] else { return }
    answer.add(event)
    batch.add(tokens: event.n_tokens)
    if Int(event.kind) == Int(XVERSE_EVENT_FINISHED) { running[event.request_id] = nil }
  }

  /// Writes the answers that no earlier line holds up.
  private func writeAnswers() throws(ToolError) {
    var count = 0
    while count < held.count, let outcome = held[count].outcome {
      try batch.write(held[count].line, outcome)
      count += 1
    }
    held.removeFirst(count)
  }
}

/// The answer to a line, while it grows and while it waits for its turn in the output.
private final class HeldAnswer {
  let line: BatchLine
  private var answer = Answer(text: [])
  /// nil while it grows.
  var outcome: Result<[(key: String, value: JSON)], ToolError>?

  init(_ line: BatchLine) { self.line = line.withoutMembers }

  func add(_ event: xverse_event) {
    answer.text += UnsafeBufferPointer(start: event.text, count: event.text_len)
    if let logprobs = event.logprobs {
      answer.tokens += UnsafeBufferPointer(start: event.tokens, count: event.n_tokens)
      answer.logprobs += UnsafeBufferPointer(start: logprobs, count: event.n_tokens)
    }
    guard Int(event.kind) == Int(XVERSE_EVENT_FINISHED) else { return }
    if event.status < 0 {
      outcome = .failure(.failure(event.message.map { String(cString: $0) } ?? "", status: event.status))
    } else {
      if let stats = event.stats { answer.stats = stats.pointee }
      outcome = .success(members)
    }
    answer = Answer(text: [])
  }

  private var members: [(key: String, value: JSON)] {
    var members: [(key: String, value: JSON)] = [
      ("text", .string(String(characters: answer.text))), ("finish_reason", .string(answer.finishReason)),
      ("n_prompt", .integer(answer.stats.n_prompt)), ("n_generated", .integer(answer.stats.n_generated)),
    ]
    if !answer.logprobs.isEmpty {
      members.append(("tokens", .array(answer.tokens.map { .integer($0) })))
      members.append(("logprobs", .array(answer.logprobs.map { .real(Double($0)) })))
    }
    return members
  }
}
