// Generation.swift -- the loop of a session that generates: evaluate, extend the answer, tell the listener, again.

import XverseCore

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
  /// The most probable tokens in the place of the one in `tokens`, and their log probabilities; none unless asked for.
  package var topTokens: UnsafeBufferPointer<Int32>
  package var topLogprobs: UnsafeBufferPointer<Float>
  package var promptDone: Int
  package var promptTotal: Int
  package var finishReason: FinishReason
  package var error: XverseError?

  package init(
    kind: Kind, text: UnsafeBufferPointer<UInt8>, tokens: UnsafeBufferPointer<Int32>,
    logprobs: UnsafeBufferPointer<Float>,
    topTokens: UnsafeBufferPointer<Int32> = UnsafeBufferPointer(start: nil, count: 0),
    topLogprobs: UnsafeBufferPointer<Float> = UnsafeBufferPointer(start: nil, count: 0), promptDone: Int,
    promptTotal: Int, finishReason: FinishReason, error: XverseError? = nil
  ) {
    (self.kind, self.text, self.tokens, self.logprobs) = (kind, text, tokens, logprobs)
    (self.topTokens, self.topLogprobs) = (topTokens, topLogprobs)
    (self.promptDone, self.promptTotal) = (promptDone, promptTotal)
    (self.finishReason, self.error) = (finishReason, error)
  }
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
    let generation = try Generation(
      self, options.usable(), prompt: prompt, continuesText: continuesText, cancellation: cancellation, onEvent: onEvent
    )
    return try generation.run()
  }
}

/// The state of one generation.
private final class Generation {
  private let session: Session
  private let prompt: UnsafeBufferPointer<Int32>
  /// The caller's cancellation under the deadline of the options.
  private let cancellation: Cancellation
  private let onEvent: Session.EventHandler?
  private let answer: Answer
  /// nil: nothing is guessed.
  private let speculator: Speculator?

  init(
    _ session: Session, _ options: GenerationOptions, prompt: UnsafeBufferPointer<Int32>, continuesText: Bool,
    cancellation: Cancellation?, onEvent: Session.EventHandler?
  ) throws(XverseError) {
    self.session = session
    self.prompt = prompt
    self.onEvent = onEvent
    self.cancellation = Cancellation(parent: cancellation)
    self.cancellation.reset(deadlineAfter: options.deadline)
    answer = try Answer(
      session.model, options, prompt: prompt, continuesText: continuesText, allocator: session.runtime.allocator)
    speculator = answer.room > 1 ? session.speculator(options.speculation, prompt: prompt) : nil
  }

  func run() throws(XverseError) -> GenerationResult {
    var reason = FinishReason.none
    defer { session.endGuessing() }
    do throws(XverseError) {
      if let early = try prefill() { reason = early } else { reason = try decode() }
    } catch {
      reason = try finishReason(of: error)
    }
    do throws(XverseError) {
      reason = try answer.end(reason)
    } catch {
      reason = try finishReason(of: error)
    }
    record(reason)
    _ = tell(.finished, reason: reason)
    return answer.result
  }

  /// Evaluates what the session does not have of the prompt; returns why generation ends there, if it does.
  private func prefill() throws(XverseError) -> FinishReason? {
    var common = session.tokens.countInCommon(with: prompt)
    if common == prompt.count && !(session.length == common && session.logits != nil) { common -= 1 }
    session.truncate(to: common)
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
    answer.statistics.cachedTokens = common + session.adoptedTokens
    answer.statistics.prefillTime = MonotonicClock.now - begin
    answer.statistics.queueTime = new.isEmpty ? 0 : session.statistics.queueTime
    return wasStopped ? .callback : nil
  }

  private func decode() throws(XverseError) -> FinishReason {
    if answer.isFull { return .length }
    while true {
      try cancellation.check()
      guard let logits = session.logits else {
        throw XverseError(.internal, "the session has no logits to sample from")
      }
      let (token, logprob, end) = try answer.extend(logits)
      guard tell(.tokens, token: token, logprob) else { return .callback }
      if let end { return end }
      if !session.hasRoom { return .length }
      if let speculator {
        try session.evaluate(
          token, guessingWith: speculator, atMost: answer.room - 1, cancellation: cancellation)
      } else {
        try session.evaluate(token, cancellation: cancellation)
      }
    }
  }

  /// Turns the end of the options' own deadline into a reason; every other error ends the call.
  private func finishReason(of error: XverseError) throws(XverseError) -> FinishReason {
    if error.code == .deadline && cancellation.isPastDeadline { return .deadline }
    let reason = FinishReason(error)
    answer.dropText()
    record(reason)
    _ = tell(.finished, reason: reason, error: error)
    throw error
  }

  private func record(_ reason: FinishReason) {
    answer.statistics.draftTokens = speculator?.guessedTokens ?? 0
    answer.statistics.acceptedDraftTokens = speculator?.acceptedTokens ?? 0
    answer.finish(reason)
    session.statistics = answer.statistics
  }

  /// Sends an event; returns whether to go on.
  private func tell(
    _ kind: GenerationEvent.Kind, token: Int32? = nil, _ logprob: Float = 0, promptDone: Int? = nil,
    reason: FinishReason = .none, error: XverseError? = nil
  ) -> Bool {
    guard let onEvent else {
      answer.dropText()
      return true
    }
    var tokens = token ?? 0
    var logprobs = logprob
    let count = token == nil ? 0 : 1
    let top = token == nil ? (.init(start: nil, count: 0), .init(start: nil, count: 0)) : answer.lastTop
    return withUnsafePointer(to: &tokens) { tokens in
      withUnsafePointer(to: &logprobs) { logprobs in
        answer.withText(isWanted: kind != .prefill) { text in
          onEvent(
            GenerationEvent(
              kind: kind, text: text, tokens: UnsafeBufferPointer(start: tokens, count: count),
              logprobs: UnsafeBufferPointer(start: logprobs, count: answer.options.wantsLogprobs ? count : 0),
              topTokens: top.tokens, topLogprobs: top.logprobs,
              promptDone: promptDone ?? prompt.count, promptTotal: prompt.count, finishReason: reason, error: error))
        }
      }
    }
  }
}
