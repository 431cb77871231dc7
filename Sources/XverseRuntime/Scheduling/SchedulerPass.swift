// SchedulerPass.swift -- one pass of a scheduler: tokens of several answers through the model, and a new token for each whose
// last token is among them.

import XverseCore
import XverseModels
import XverseTensors

/// The work that a schedule hands to the compute thread.
///
/// Threads: the schedule fills it in and performs it; nothing is touched from two sides at a time.
final class SchedulerPass: ComputeWork {
  /// What an answer brings to the pass.
  struct Part {
    let answer: ScheduledAnswer
    let sequence: TokenSequence
    /// The first tokens of those that the answer has pending.
    let count: Int
    /// Tokens behind those, which the answer's speculator guesses.
    var guessCount = 0
    /// Tokens that the answer has got.
    var newTokens = 0
    /// Why the answer ends after the pass.
    var end: Result<FinishReason, XverseError>?

    init(_ answer: ScheduledAnswer, _ sequence: TokenSequence, count: Int) {
      (self.answer, self.sequence, self.count) = (answer, sequence, count)
    }

    var wantsLogits: Bool { count == answer.pending.count }

    /// What is evaluated; valid until the answer grows.
    var tokens: UnsafeBufferPointer<Int32> {
      guard guessCount > 0, let speculator = answer.speculator else {
        return UnsafeBufferPointer(rebasing: answer.pending[..<count])
      }
      return UnsafeBufferPointer(rebasing: speculator.segment[...guessCount])
    }
  }

  private(set) var parts: [Part] = []
  private let model: XverseModel
  private let runtime: Runtime
  private let context: Int
  private let events: AnswerEvents
  private var batch = TokenBatch()
  private var cancellation: Cancellation?
  private var error: XverseError?
  private let ticket = ComputeTicket()

  init(_ model: XverseModel, _ runtime: Runtime, context: Int, events: AnswerEvents) {
    (self.model, self.runtime, self.context, self.events) = (model, runtime, context, events)
  }

  /// Evaluates the parts on the runtime's compute thread, and extends the answers there.
  ///
  /// - Returns: The parts, with the ends that came; and the nanoseconds of the pass alone.
  /// - Throws: `outOfMemory`, `cancelled`: nothing happened.
  func perform(_ parts: [Part], _ cancellation: Cancellation) throws(XverseError) -> ([Part], nanoseconds: Int64) {
    self.parts = parts
    self.cancellation = cancellation
    defer { self.parts = [] }
    let begin = MonotonicClock.now
    runtime.computeThread.perform(self, with: ticket)
    if let error { throw error }
    return (self.parts, MonotonicClock.now - begin - ticket.queueTime)
  }

  func run() {
    error = nil
    for part in parts {
      let tokens = part.tokens
      batch.append(
        tokens, to: part.sequence.cache, sequenceLength: part.answer.sequenceLength(evaluating: tokens.count),
        outputs: part.wantsLogits ? part.count - 1..<tokens.count : tokens.count..<tokens.count)
    }
    defer { batch.removeAll() }
    do throws(XverseError) {
      try extend(model.logits(of: batch, kernels: runtime.kernels, arena: runtime.arena, cancellation: cancellation))
    } catch {
      for part in parts { part.sequence.cache.truncate(to: part.sequence.length) }
      self.error = error
    }
    runtime.noteArenaSize()
  }

  private func extend(_ logits: Matrix) {
    var row = 0
    for index in parts.indices {
      let rows = parts[index].wantsLogits ? row..<row + 1 + parts[index].guessCount : row..<row
      row = rows.upperBound
      let before = parts[index].answer.tokens.count
      do throws(XverseError) {
        parts[index].end = try extend(parts[index], logits, rows).map { .success($0) }
      } catch {
        parts[index].end = .failure(error)
      }
      parts[index].newTokens = parts[index].answer.tokens.count - before
      // Guesses that were wrong.
      parts[index].sequence.cache.truncate(to: parts[index].sequence.length)
    }
  }

  /// Counts what was evaluated of a part, and adds the token that follows; and those behind it as long as the guesses are
  /// right.
  ///
  /// - Returns: Why the answer ends with the last of them; nil: it goes on.
  private func extend(_ part: Part, _ logits: Matrix, _ rows: Range<Int>) throws(XverseError) -> FinishReason? {
    let answer = part.answer
    try part.sequence.append(UnsafeBufferPointer(rebasing: answer.pending[..<part.count]))
    if part.guessCount > 0 { answer.speculator?.countGuesses() }
    for row in rows {
      if row > rows.lowerBound {
        if answer.interruption != nil { return nil }
        try part.sequence.append(answer.pending)
      }
      let guess = row + 1 < rows.upperBound ? answer.speculator?.guesses.first : nil
      let ofToken = UnsafeBufferPointer(start: logits.data + row * logits.columns, count: logits.columns)
      if let end = try answer.extend(ofToken, context: context, events: events) { return end }
      if guess != answer.tokens.last { return nil }
    }
    return nil
  }
}

extension ScheduledAnswer {
  /// Tokens of the sequence when the evaluation ends that the next `count` tokens are part of: what a session would have
  /// evaluated at once, so that the answer does not depend on how often it was interrupted.
  func sequenceLength(evaluating count: Int) -> Int { max(promptCount, tokens.count - pending.count + count) }
}
