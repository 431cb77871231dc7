// Scheduler.swift -- many answers at a time: what a server uses.

internal import CXverse

/// Answers many requests of one model together. Any number of tasks may use it; an answer has the same tokens as from a
/// `Session`, whatever else runs. Its end cancels what is not finished.
public final class Scheduler: Sendable {
  /// The model of the scheduler.
  public let model: Model
  private let reader: EventReader

  /// Errors: `misuse` (a model loaded with `vocabOnly`), `outOfMemory`, `range`, `inputOutput` (no file descriptor).
  public init(_ model: Model, options: SchedulerOptions = SchedulerOptions()) throws(XverseError) {
    let options = try options.handle()
    self.model = model
    reader = try EventReader(
      try Handle(free: { xverse_scheduler_free($0) }) {
        xverse_scheduler_create(model.handle.pointer, options.pointer, $0)
      })
  }

  deinit { reader.stop() }

  /// A stream of the answer's text. A cancelled task, or leaving the loop, ends the answer at once.
  public func chat(
    _ messages: [Message], options: SamplingOptions = SamplingOptions()
  ) -> AsyncThrowingStream<String, any Error> { stream(.messages(messages), options: options) }

  /// A stream of what continues, or answers, a prompt. A cancelled task, or leaving the loop, ends it at once.
  public func stream(
    _ prompt: Prompt, options: SamplingOptions = SamplingOptions()
  ) -> AsyncThrowingStream<String, any Error> {
    textStream { send in
      _ = try await self.generate(prompt, options: options) { event in
        send(event.text)
        return true
      }
    }
  }

  /// Generates one answer.
  ///
  /// - Parameters:
  ///   - prompt: A conversation, a text or tokens.
  ///   - options: How tokens are chosen.
  ///   - onEvent: `false` from it ends the answer, with `FinishReason.cancelled`.
  /// - Throws: `queueFull`; those of `Session.generate`; `cancelled` at once when the task is cancelled.
  public func generate(
    _ prompt: Prompt, options: SamplingOptions = SamplingOptions(), onEvent: EventHandler? = nil
  ) async throws(XverseError) -> Answer {
    if let n = options.n, n != 1 {
      throw XverseError(.invalid, "option n is \(n), expected 1; generateAll gives n answers")
    }
    return try await answers(prompt, options, onEvent)[0]
  }

  /// Generates the answers that option `n` asks for, in the order of their seeds. Errors: as `generate`.
  public func generateAll(
    _ prompt: Prompt, options: SamplingOptions
  ) async throws(XverseError) -> [Answer] { try await answers(prompt, options, nil) }

  /// The response to a request of OpenAI's interface, both in JSON.
  ///
  /// - Parameters:
  ///   - request: An object with "messages" or "prompt"; docs/openai.md lists its fields.
  ///   - onChunk: Receives the chunks of a request with `"stream": true`, whose response is empty; `false` ends the
  ///     answers.
  /// - Throws: An error whose `response` is OpenAI's error object.
  public func generateJSON(
    _ request: String, onChunk: (@Sendable (String) -> Bool)? = nil
  ) async throws(XverseError) -> String {
    let submission = try await BlockingWork.run { [reader] (_) throws(XverseError) in
      try reader.submit(count: 1, isJSON: true) { (scheduler, id) throws(XverseError) in
        var response: UnsafeMutablePointer<CChar>?
        let status = request.withBytes { xverse_scheduler_submit_json(scheduler, $0, $1, id, &response, nil) }
        let text = String(taking: response)
        if status < 0 { throw XverseError(status: status, response: text.isEmpty ? nil : text) }
      }
    }
    var response = ""
    try await reader.read(submission) { event in
      // The error object of an answer that `onChunk` ended.
      if event.error != nil { return true }
      // A line feed follows each chunk, and none the response.
      guard event.text.hasSuffix("\n") else {
        response = event.text
        return true
      }
      return event.text.split(separator: "\n").allSatisfy { onChunk?(String($0)) ?? true }
    }
    return response
  }

  /// A smaller model that guesses tokens for the answers that begin from now on, which changes none; nil for none.
  ///
  /// - Throws: `mismatch` (a model with other tokens, or of another runtime).
  public func setDraft(_ draft: Model?, options: SessionOptions = SessionOptions()) async throws(XverseError) {
    let options = try options.handle()
    try await BlockingWork.run { [reader] (_) throws(XverseError) in
      try check(xverse_scheduler_set_draft(reader.handle.pointer, draft?.handle.pointer, options.pointer))
    }
  }

  /// Figures since the scheduler was made, as the JSON object of xverse_scheduler_stats.
  public func statistics() throws(XverseError) -> String {
    var json: UnsafeMutablePointer<CChar>?
    try check(xverse_scheduler_stats(reader.handle.pointer, &json, nil))
    return String(taking: json)
  }

  private func answers(
    _ prompt: Prompt, _ options: SamplingOptions, _ onEvent: EventHandler?
  ) async throws(XverseError) -> [Answer] {
    let count = max(1, options.n ?? 1)
    let submission = try await BlockingWork.run { [reader, model] (_) throws(XverseError) in
      let request = try Request(model, prompt, options)
      return try reader.submit(count: count) { (scheduler, id) throws(XverseError) in
        try check(xverse_scheduler_submit(scheduler, request.handle.pointer, id))
      }
    }
    var texts = [String](repeating: "", count: count)
    var tokens = [[Int32]](repeating: [], count: count)
    var logprobs = [[Float]?](repeating: options.logprobs == true ? [] : nil, count: count)
    var statistics = [Statistics?](repeating: nil, count: count)
    try await reader.read(submission) { event in
      let index = Int(event.id - submission.first)
      texts[index] += event.text
      tokens[index] += event.tokens
      if let more = event.logprobs { logprobs[index]?.append(contentsOf: more) }
      if let end = event.statistics { statistics[index] = end }
      return onEvent?(.tokens(event.tokens, text: event.text, logprobs: event.logprobs)) ?? true
    }
    var answers: [Answer] = []
    for index in 0..<count {
      guard let end = statistics[index] else { throw .cancelled }
      answers.append(Answer(text: texts[index], tokens: tokens[index], logprobs: logprobs[index], statistics: end))
    }
    return answers
  }
}
