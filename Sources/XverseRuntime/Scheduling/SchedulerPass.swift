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
    /// Whether the answer has got a new token.
    var isExtended = false
    /// Why the answer ends after the pass.
    var end: Result<FinishReason, XverseError>?

    init(_ answer: ScheduledAnswer, _ sequence: TokenSequence, count: Int) {
      (self.answer, self.sequence, self.count) = (answer, sequence, count)
    }

    var wantsLogits: Bool { count == answer.pending.count }
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
      batch.append(
        UnsafeBufferPointer(rebasing: part.answer.pending[..<part.count]), to: part.sequence.cache,
        sequenceLength: part.answer.sequenceLength(evaluating: part.count),
        outputs: part.wantsLogits ? part.count - 1..<part.count : part.count..<part.count)
    }
    defer { batch.removeAll() }
    do throws(XverseError) {
      let states = try model.forward(
        batch, kernels: runtime.kernels, arena: runtime.arena, cancellation: cancellation)
      let logits = try runtime.arena.matrix(rows: max(1, states.rows), columns: model.configuration.vocabularySize)
      if states.rows > 0 {
        try model.logits(
          into: logits, of: states, kernels: runtime.kernels, arena: runtime.arena, cancellation: cancellation)
      }
      extend(logits)
    } catch {
      for part in parts { part.sequence.cache.truncate(to: part.sequence.length) }
      self.error = error
    }
    runtime.noteArenaSize()
  }

  private func extend(_ logits: Matrix) {
    var row = 0
    for index in parts.indices {
      let part = parts[index]
      let wantsLogits = part.wantsLogits
      do throws(XverseError) {
        try part.sequence.append(UnsafeBufferPointer(rebasing: part.answer.pending[..<part.count]))
        guard wantsLogits else { continue }
        let ofAnswer = UnsafeBufferPointer(start: logits.data + row * logits.columns, count: logits.columns)
        row += 1
        let before = part.answer.tokens.count
        if let reason = try part.answer.extend(ofAnswer, context: context, events: events) {
          parts[index].end = .success(reason)
        }
        parts[index].isExtended = part.answer.tokens.count > before
      } catch {
        parts[index].end = .failure(error)
      }
    }
  }
}

extension ScheduledAnswer {
  /// Tokens of the sequence when the evaluation ends that the next `count` tokens are part of: what a session would have
  /// evaluated at once, so that the answer does not depend on how often it was interrupted.
  func sequenceLength(evaluating count: Int) -> Int { max(promptCount, tokens.count - pending.count + count) }
}
