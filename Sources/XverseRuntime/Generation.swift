// Generation.swift -- the loop that turns logits into text: sample, detokenize, look for an end, evaluate, again.

import XverseCore
import XverseLoading
import XverseTokenizers

/// What a generation tells while it runs. The buffers are valid during the call only.
package struct GenerationEvent {
  package enum Kind: Int32 {
    case tokens = 1
    case finished = 2
    case prefill = 3
  }

  package var kind: Kind
  /// Ends with a NUL that `count` does not include.
  package var text: UnsafeBufferPointer<UInt8>
  package var tokens: UnsafeBufferPointer<Int32>
  /// As many as `tokens`, or none.
  package var logprobs: UnsafeBufferPointer<Float>
  package var promptDone: Int
  package var promptTotal: Int
  package var finishReason: FinishReason
  package var error: XverseError?
}

/// What was generated.
package final class GenerationResult {
  /// UTF-8, followed by a NUL that `textLength` does not include.
  package fileprivate(set) var text: Buffer<UInt8>
  package fileprivate(set) var tokens: Buffer<Int32>
  /// Empty unless asked for.
  package fileprivate(set) var logprobs: Buffer<Float>
  package fileprivate(set) var statistics = SessionStatistics()

  init(allocator: MemoryAllocator) {
    text = Buffer(allocator: allocator)
    tokens = Buffer(allocator: allocator)
    logprobs = Buffer(allocator: allocator)
  }

  package var textLength: Int { max(0, text.count - 1) }
}

extension Session {
  /// Returns false to end the generation there.
  package typealias EventHandler = (borrowing GenerationEvent) -> Bool

  /// Generates from `prompt`, of which the longest common beginning with the session's tokens is not evaluated again.
  ///
  /// Afterwards the session holds the prompt and the generated tokens except the last.
  ///
  /// - Parameters:
  ///   - continuesText: Whether the generated text goes on with the prompt's, so that it begins with the space that its
  ///     first token may stand for; a new answer in a chat is a text of its own.
  ///   - onEvent: Called for each evaluated part of the prompt, each token, and once at the end.
  /// - Throws: `invalid` (empty prompt), `range`, `contextFull`, `corrupt` (a default of the model's that cannot be used):
  ///   the session is as before. `cancelled`, `deadline` (of
  ///   `cancellation`), `failed`, `outOfMemory`: the session holds what was evaluated.
  package func generate(
    _ prompt: UnsafeBufferPointer<Int32>, _ options: GenerationOptions, continuesText: Bool = true,
    cancellation: Cancellation? = nil, onEvent: EventHandler? = nil
  ) throws(XverseError) -> GenerationResult {
    guard !prompt.isEmpty else { throw .invalid("the prompt has no tokens, expected at least one") }
    guard prompt.count <= context else {
      throw XverseError(.contextFull, "the prompt has \(prompt.count) tokens, the session's context is \(context)")
    }
    let options = try options.usable()
    let generation = try Generation(self, options, prompt: prompt, cancellation: cancellation, onEvent: onEvent)
    if continuesText { try generation.beginAfterPrompt() }
    return try generation.run()
  }
}

/// The state of one generation.
private final class Generation {
  private let session: Session
  private let options: GenerationOptions
  private let prompt: UnsafeBufferPointer<Int32>
  /// The caller's cancellation under the deadline of the options.
  private let cancellation: Cancellation
  private let onEvent: Session.EventHandler?
  private let sampler: Sampler
  private var detokenizer: Detokenizer
  private var matcher: StopMatcher
  private let result: GenerationResult
  /// What the detokenizer gave out, before stop strings were looked for.
  private var decoded: Buffer<UInt8>
  /// Text that is certain and not yet told, with the NUL of the event.
  private var pending: Buffer<UInt8>
  private var statistics = SessionStatistics()
  private let start = MonotonicClock.now

  init(
    _ session: Session, _ options: GenerationOptions, prompt: UnsafeBufferPointer<Int32>,
    cancellation: Cancellation?, onEvent: Session.EventHandler?
  ) throws(XverseError) {
    let model = session.model
    let allocator = session.runtime.allocator
    self.session = session
    self.options = options
    self.prompt = prompt
    self.onEvent = onEvent
    self.cancellation = Cancellation(parent: cancellation)
    self.cancellation.reset(deadlineAfter: options.deadline)
    sampler = try Sampler(
      options.sampling, vocabularySize: model.configuration.vocabularySize, allocator: allocator)
    for token in prompt { try sampler.accept(token, isGenerated: false) }
    detokenizer = Detokenizer(tokenizer: model.tokenizer, skippingSpecials: true)
    matcher = try StopMatcher(options.stops, allocator: allocator)
    result = GenerationResult(allocator: allocator)
    decoded = Buffer(allocator: allocator)
    pending = Buffer(allocator: allocator)
  }

  /// Lets the detokenizer see the end of the prompt: a few tokens, for no character has more than four bytes.
  func beginAfterPrompt() throws(XverseError) {
    for token in prompt.suffix(8) where Int(token) < session.model.tokenizer.vocabularySize {
      try detokenizer.push(token, into: &decoded)
    }
    decoded.removeAll()
  }

  func run() throws(XverseError) -> GenerationResult {
    var reason = FinishReason.none
    do throws(XverseError) {
      if let early = try prefill() { reason = early } else { reason = try decode() }
    } catch {
      reason = try finishReason(of: error)
    }
    do throws(XverseError) {
      try endText(&reason)
    } catch {
      reason = try finishReason(of: error)
    }
    record(reason)
    _ = tell(.finished, reason: reason)
    result.statistics = statistics
    return result
  }

  /// Evaluates what the session does not have of the prompt; returns why generation ends there, if it does.
  private func prefill() throws(XverseError) -> FinishReason? {
    var common = 0
    let held = session.tokens
    while common < min(held.count, prompt.count), held[common] == prompt[common] { common += 1 }
    if common == prompt.count && !(session.length == common && session.logits != nil) { common -= 1 }
    session.truncate(to: common)
    statistics.promptTokens = prompt.count
    statistics.cachedTokens = common
    let begin = MonotonicClock.now
    let new = UnsafeBufferPointer(rebasing: prompt[common...])
    var wasStopped = false
    do throws(XverseError) {
      try session.evaluate(new, cancellation: cancellation) { (done, _) throws(XverseError) in
        if !self.tell(.prefill, promptDone: common + done) { throw XverseError(.stopped, "stopped by the callback") }
      }
    } catch {
      guard error.code == .stopped else { throw error }
      wasStopped = true
    }
    statistics.prefillTime = MonotonicClock.now - begin
    statistics.queueTime = new.isEmpty ? 0 : session.statistics.queueTime
    return wasStopped ? .callback : nil
  }

  private func decode() throws(XverseError) -> FinishReason {
    let limit = options.maximumNewTokens ?? .max
    if limit == 0 { return .length }
    while true {
      try cancellation.check()
      guard let logits = session.logits else {
        throw XverseError(.internal, "the session has no logits to sample from")
      }
      let (token, logprob) = try sampler.sample(logits, wantsLogprob: options.wantsLogprobs)
      try take(token, logprob)
      if !options.ignoresEOS && session.model.specialTokens.eos.contains(token) {
        return tell(.tokens, token: token, logprob) ? .eos : .callback
      }
      let isStopped = try extendText(with: token)
      guard tell(.tokens, token: token, logprob) else { return .callback }
      if isStopped { return .stop }
      if statistics.generatedTokens == limit || !session.hasRoom { return .length }
      try withUnsafePointer(to: token) { pointer throws(XverseError) in
        try session.evaluate(UnsafeBufferPointer(start: pointer, count: 1), cancellation: cancellation)
      }
    }
  }

  private func take(_ token: Int32, _ logprob: Float) throws(XverseError) {
    if statistics.generatedTokens == 0 { statistics.firstTokenTime = MonotonicClock.now - start }
    try result.tokens.append(token)
    if options.wantsLogprobs { try result.logprobs.append(logprob) }
    try sampler.accept(token, isGenerated: true)
    statistics.generatedTokens += 1
    pending.removeAll()
  }

  /// Adds the token's text; returns whether a stop string is complete.
  private func extendText(with token: Int32) throws(XverseError) -> Bool {
    // A model may have more rows than its tokenizer has entries: such an id stands for no text.
    guard Int(token) < session.model.tokenizer.vocabularySize else { return false }
    decoded.removeAll()
    try detokenizer.push(token, into: &decoded)
    let isStopped = try matcher.feed(decoded.elements, into: &pending)
    try result.text.append(contentsOf: pending.elements)
    // Room for the NUL of the event, which then loses no text for want of it.
    try pending.reserve(pending.count + 1)
    return isStopped
  }

  // MARK: the end

  /// Completes the text of the result; what was held back until now is in `pending`, for the last event.
  private func endText(_ reason: inout FinishReason) throws(XverseError) {
    // What is still in there was told with its token.
    pending.removeAll()
    if reason != .stop {
      decoded.removeAll()
      try detokenizer.flush(into: &decoded)
      let isStopped = try matcher.feed(decoded.elements, into: &pending)
      if isStopped { reason = .stop } else { try matcher.finish(into: &pending) }
    }
    try result.text.append(contentsOf: pending.elements)
    try result.text.append(0)
    try pending.reserve(pending.count + 1)
  }

  /// Turns the end of the options' own deadline into a reason; every other error ends the call.
  private func finishReason(of error: XverseError) throws(XverseError) -> FinishReason {
    if error.code == .deadline && cancellation.isPastDeadline { return .deadline }
    let reason: FinishReason =
      switch error.code {
      case .cancelled: .cancelled
      case .deadline: .deadline
      default: .error
      }
    pending.removeAll()
    record(reason)
    _ = tell(.finished, reason: reason, error: error)
    throw error
  }

  private func record(_ reason: FinishReason) {
    statistics.finishReason = reason
    if statistics.generatedTokens > 0 {
      statistics.decodeTime = MonotonicClock.now - start - statistics.firstTokenTime
    }
    session.statistics = statistics
  }

  /// Sends an event; returns whether to go on.
  private func tell(
    _ kind: GenerationEvent.Kind, token: Int32? = nil, _ logprob: Float = 0, promptDone: Int? = nil,
    reason: FinishReason = .none, error: XverseError? = nil
  ) -> Bool {
    guard let onEvent else { return true }
    var tokens = token ?? 0
    var logprobs = logprob
    let count = token == nil ? 0 : 1
    // The NUL after the text; without memory for it the event carries no text rather than an unterminated one.
    let hasText = kind != .prefill && (try? pending.append(0)) != nil
    defer { if hasText { pending.truncate(to: pending.count - 1) } }
    let empty: StaticString = ""
    let text =
      hasText
      ? UnsafeBufferPointer(rebasing: pending.elements.dropLast())
      : UnsafeBufferPointer(start: empty.utf8Start, count: 0)
    return withUnsafePointer(to: &tokens) { tokens in
      withUnsafePointer(to: &logprobs) { logprobs in
        onEvent(
          GenerationEvent(
            kind: kind, text: text, tokens: UnsafeBufferPointer(start: tokens, count: count),
            logprobs: UnsafeBufferPointer(start: logprobs, count: options.wantsLogprobs ? count : 0),
            promptDone: promptDone ?? prompt.count, promptTotal: prompt.count, finishReason: reason, error: error))
      }
    }
  }
}
