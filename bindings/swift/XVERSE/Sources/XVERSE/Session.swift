// Session.swift -- a sequence of tokens that grows: conversations and texts.

internal import CXverse

/// A sequence of tokens with their keys and values.
///
/// An actor on a thread of its own: its calls wait for each other there, and none of them blocks the threads that tasks
/// share. A call ends soon after its task is cancelled, with `XverseError.Status.cancelled`; the session is valid then.
public actor Session {
  /// The model of the session.
  public nonisolated let model: Model
  let handle: Handle
  private nonisolated let executor = QueueExecutor("xverse.session")

  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// Errors: `misuse` (a model loaded with `vocabOnly`), `outOfMemory`, `range`.
  public init(_ model: Model, options: SessionOptions = SessionOptions()) throws(XverseError) {
    let options = try options.handle()
    self.model = model
    handle = try Handle(free: { xverse_session_free($0) }) {
      xverse_session_create(model.handle.pointer, options.pointer, $0)
    }
  }

  private init(_ model: Model, _ handle: Handle) {
    self.model = model
    self.handle = handle
  }

  // MARK: generation

  /// A stream of the answer's text. A cancelled task, or leaving the loop, ends the answer at once.
  public nonisolated func chat(
    _ messages: [Message], options: SamplingOptions = SamplingOptions()
  ) -> AsyncThrowingStream<String, any Error> { stream(.messages(messages), options: options) }

  /// A stream of what continues, or answers, a prompt. A cancelled task, or leaving the loop, ends it at once.
  public nonisolated func stream(
    _ prompt: Prompt, options: SamplingOptions = SamplingOptions()
  ) -> AsyncThrowingStream<String, any Error> {
    textStream { send in
      _ = try await self.generate(prompt, options: options) { event in
        send(event.text)
        return true
      }
    }
  }

  /// Generates. What the prompt has in common with the session's tokens is not computed again.
  ///
  /// - Parameters:
  ///   - prompt: A conversation, a text or tokens.
  ///   - options: How tokens are chosen.
  ///   - onEvent: `false` from it ends the answer, with `FinishReason.callback`.
  /// - Throws: `contextFull` (a prompt that does not fit), `invalid`, `range`, `unsupported`, `corrupt`: the session is
  ///   as before. `cancelled`, `failed`, `outOfMemory`: it holds what was evaluated.
  public func generate(
    _ prompt: Prompt, options: SamplingOptions = SamplingOptions(), onEvent: EventHandler? = nil
  ) async throws(XverseError) -> Answer {
    let request = try Request(model, prompt, options)
    return try await cancellable { (cancellation) throws(XverseError) in
      let result = try Handle(free: { xverse_result_free($0) }) { out in
        withUser(onEvent) { user in
          xverse_session_generate(
            handle.pointer, request.handle.pointer, cancellation.pointer,
            user == nil
              ? nil
              : { user, event in
                guard let event = event?.pointee, let receive = Box<EventHandler>.closure(user) else { return 0 }
                return receive(GenerationEvent(event)) ? 0 : 1
              }, user, out)
        }
      }
      return try Answer(result)
    }
  }

  /// The response to a request of OpenAI's interface, both in JSON.
  ///
  /// - Parameters:
  ///   - request: An object with "messages" or "prompt"; docs/openai.md lists its fields.
  ///   - onChunk: Receives the chunks of a request with `"stream": true`; `false` ends the answer.
  /// - Throws: An error whose `response` is OpenAI's error object.
  public func generateJSON(
    _ request: String, onChunk: (@Sendable (String) -> Bool)? = nil
  ) async throws(XverseError) -> String {
    try await cancellable { (cancellation) throws(XverseError) in
      var response: UnsafeMutablePointer<CChar>?
      let status = withUser(onChunk) { user in
        request.withBytes { bytes, count in
          xverse_session_generate_json(
            handle.pointer, bytes, count, cancellation.pointer,
            user == nil
              ? nil
              : { user, event in
                guard let event = event?.pointee, Int(event.kind) == XVERSE_EVENT_JSON,
                  let receive = Box<@Sendable (String) -> Bool>.closure(user)
                else { return 0 }
                return receive(String(bytes: event.text, count: event.text_len)) ? 0 : 1
              }, user, &response, nil)
        }
      }
      let text = String(taking: response)
      if status < 0 { throw XverseError(status: status, response: text.isEmpty ? nil : text) }
      return text
    }
  }

  /// Figures of the last evaluation or generation.
  public func statistics() throws(XverseError) -> Statistics {
    var stats = xverse_stats()
    stats.size = UInt32(MemoryLayout<xverse_stats>.size)
    try check(xverse_session_stats(handle.pointer, &stats))
    return Statistics(stats)
  }

  /// A smaller model that guesses tokens, which changes no answer; nil for none.
  ///
  /// - Throws: `mismatch` (a model with other tokens, or of another runtime).
  public func setDraft(_ draft: Model?, options: SessionOptions = SessionOptions()) throws(XverseError) {
    let options = try options.handle()
    try check(xverse_session_set_draft(handle.pointer, draft?.handle.pointer, options.pointer))
  }

  // MARK: tokens

  /// Number of tokens. While a call runs, the length from before it.
  public nonisolated var length: Int { Int(xverse_session_length(handle.pointer)) }

  /// The tokens that it holds.
  public func tokens() throws(XverseError) -> [Int32] {
    try [Int32](capacity: length, filledWith: 0) { xverse_session_tokens(handle.pointer, $0, $1, $2) }
  }

  /// Forgets all but the first `count` tokens. Errors: `range`.
  public func truncate(to count: Int) throws(XverseError) {
    try check(xverse_session_truncate(handle.pointer, Int64(count)))
  }

  /// An independent session with the same tokens, which share their memory.
  public func fork() throws(XverseError) -> Session {
    Session(model, try Handle(free: { xverse_session_free($0) }) { xverse_session_fork(handle.pointer, $0) })
  }

  // MARK: files

  /// Writes the session to a file, which is the old or the new one whatever happens.
  public func save(to path: String) throws(XverseError) { try check(xverse_session_save(handle.pointer, path)) }

  /// Makes the session the saved one. Errors: `corrupt`, `mismatch` (of another model or `kvType`), `contextFull` ...
  public func restore(from path: String) throws(XverseError) {
    try check(xverse_session_restore(handle.pointer, path))
  }

  /// Bytes of the program's own that are saved with the session; empty for none.
  public func setNote(_ note: [UInt8]) throws(XverseError) {
    try check(note.withElements { xverse_session_set_note(handle.pointer, $0, $1) })
  }

  /// The bytes of `setNote(_:)`.
  public func note() throws(XverseError) -> [UInt8] {
    var note: UnsafeRawPointer?
    var length = 0
    try check(xverse_session_note(handle.pointer, &note, &length))
    return Array(UnsafeRawBufferPointer(start: note, count: length))
  }

  // MARK: evaluation

  /// Appends tokens.
  ///
  /// - Throws: `range` (an id outside the vocabulary), `contextFull`: nothing is appended. `cancelled`, `outOfMemory`:
  ///   the session holds the tokens evaluated until then.
  public func evaluate(_ tokens: [Int32]) async throws(XverseError) {
    try await cancellable { (cancellation) throws(XverseError) in
      try check(
        tokens.withElements { xverse_session_eval(handle.pointer, $0, $1, cancellation.pointer, nil, nil) })
    }
  }

  /// The logits after the last token, `[vocabularySize]`. Errors: `misuse` (none yet).
  public func logits() throws(XverseError) -> [Float] {
    var logits: UnsafePointer<Float>?
    var count = 0
    try check(xverse_session_logits(handle.pointer, &logits, &count))
    return Array(UnsafeBufferPointer(start: logits, count: count))
  }

  /// The `count` most probable next tokens, most probable first. Errors: `misuse` (no logits yet), `range`.
  public func topLogprobs(_ count: Int) throws(XverseError) -> [(token: Int32, logprob: Float)] {
    let size = model.tokenizer.vocabularySize
    guard (1...size).contains(count) else { throw XverseError(.range, "count is \(count), expected 1 to \(size)") }
    var tokens = [Int32](repeating: 0, count: count)
    var logprobs = [Float](repeating: 0, count: count)
    var found = 0
    try check(xverse_session_top_logprobs(handle.pointer, Int32(count), &tokens, &logprobs, &found))
    return zip(tokens, logprobs).prefix(found).map { ($0, $1) }
  }

  /// Appends tokens and returns the natural logarithm of the probability of each after everything before it; 0 for the
  /// first token of an empty session. Errors: as `evaluate`.
  public func score(_ tokens: [Int32]) async throws(XverseError) -> [Float] {
    try await cancellable { (cancellation) throws(XverseError) in
      // One more, so that it has an address.
      var logprobs = [Float](repeating: 0, count: tokens.count + 1)
      try check(
        tokens.withElements { xverse_session_score(handle.pointer, $0, $1, cancellation.pointer, &logprobs, nil) })
      return Array(logprobs.prefix(tokens.count))
    }
  }

  /// How one vector is made of the hidden states of several tokens.
  public enum Pooling: Sendable { case last, mean }

  /// Appends tokens, at least one, and pools their final hidden states, `[hiddenSize]`. Errors: as `evaluate`.
  public func embed(_ tokens: [Int32], pooling: Pooling, normalize: Bool = false) async throws(XverseError) -> [Float] {
    let kind = Int32(pooling == .last ? XVERSE_POOL_LAST : XVERSE_POOL_MEAN)
    let flags = kind | (normalize ? Int32(XVERSE_POOL_NORMALIZE) : 0)
    return try await cancellable { (cancellation) throws(XverseError) in
      try [Float](capacity: 0, filledWith: 0) { out, capacity, count in
        tokens.withElements {
          xverse_session_embed(
            handle.pointer, $0, $1, flags, cancellation.pointer, capacity == 0 ? nil : out, capacity, count)
        }
      }
    }
  }

  /// Runs a call here that the end of the task ends.
  private func cancellable<Value: Sendable>(
    _ call: (Cancellation) throws(XverseError) -> Value
  ) async throws(XverseError) -> Value {
    let cancellation = try Cancellation()
    let result = await withTaskCancellationHandler {
      run(call, cancellation)
    } onCancel: {
      cancellation.trigger()
    }
    return try result.get()
  }

  /// A method, because an asynchronous closure is isolated to an actor only if it uses that: without this call the one
  /// above would run on the threads that tasks share.
  private func run<Value: Sendable>(
    _ call: (Cancellation) throws(XverseError) -> Value, _ cancellation: Cancellation
  ) -> Result<Value, XverseError> { Result { () throws(XverseError) in try call(cancellation) } }
}

extension Answer {
  /// A result of the library's.
  init(_ result: Handle) throws(XverseError) {
    var text: UnsafePointer<CChar>?
    var length = 0
    try check(xverse_result_text(result.pointer, &text, &length))
    var tokens: UnsafePointer<Int32>?
    var logprobs: UnsafePointer<Float>?
    var count = 0
    try check(xverse_result_tokens(result.pointer, &tokens, &logprobs, &count))
    var stats = xverse_stats()
    stats.size = UInt32(MemoryLayout<xverse_stats>.size)
    try check(xverse_result_stats(result.pointer, &stats))
    self.init(
      text: String(bytes: text, count: length), tokens: Array(UnsafeBufferPointer(start: tokens, count: count)),
      logprobs: logprobs.map { Array(UnsafeBufferPointer(start: $0, count: count)) }, statistics: Statistics(stats))
  }
}
