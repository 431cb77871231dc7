// Session+Speculation.swift -- evaluates guessed tokens together with the one that was chosen, and uses what comes of it
// when they turn out right.

import XverseCore
import XverseModels

/// What a session keeps for guessing.
///
/// Threads: one owner at a time, the session's.
final class SessionSpeculation {
  /// nil: none was set.
  fileprivate var draft: (model: DraftModel, reading: DraftReading)?
  /// A variable so that tests can decide how much is guessed.
  var record = SpeculationRecord()
  /// The logits of the last pass with guesses, `[rows, vocabularySize]`; empty before the first.
  fileprivate var logits = Buffer<Float>()
  /// The row of the session's last token. The rows behind it are those of guesses, which the cache holds and the session
  /// does not.
  fileprivate var row = 0
}

extension Session {
  /// Sets the model that guesses for this one from now on; nil for none.
  ///
  /// - Throws: `outOfMemory`; the one set before stays.
  package func setDraft(_ draft: DraftModel?) throws(XverseError) {
    guard let draft else { return speculation.draft = nil }
    speculation.draft = (draft, try draft.makeReading())
  }

  /// What guesses for an answer to `prompt`; nil for nothing.
  func speculator(_ options: SpeculationOptions, prompt: UnsafeBufferPointer<Int32>) -> Speculator? {
    speculation.draft?.reading.begin()
    return Speculator(
      options, prompt: prompt, hasDraft: speculation.draft != nil, record: speculation.record,
      allocator: runtime.allocator)
  }

  /// Appends the token that was chosen, leaving the logits after it: as `evaluate` does, with the same bits. A token that
  /// was guessed is evaluated already.
  ///
  /// The session has the chosen tokens only, at any time. `endGuessing` must follow the last call.
  ///
  /// - Parameter most: Most tokens behind this one that are of use.
  /// - Throws: As `evaluate`. That there is no memory for guesses is no error.
  func evaluate(
    _ token: Int32, guessingWith speculator: Speculator, atMost most: Int, cancellation: Cancellation?
  ) throws(XverseError) {
    let isEvaluated = speculator.guesses.first == token
    speculator.append(token)
    if isEvaluated {
      try cancellation?.check()
      return try takeNextRow(token)
    }
    endGuessing()
    let length = length
    try guess(with: speculator, atMost: min(most, guessRoom), cancellation)
    let begin = MonotonicClock.now
    if !speculator.guesses.isEmpty, try !evaluateAhead(speculator.segment, cancellation) { speculator.dropGuesses() }
    if speculator.guesses.isEmpty {
      try evaluate(token, cancellation: cancellation)
    }
    let guesses = speculator.guesses.count
    speculator.countGuesses()
    // One token more than before: no shifted sequence was evaluated anew.
    guard self.length == length + 1 else { return }
    speculation.record.recordPass(
      nanoseconds: MonotonicClock.now - begin - evaluation.queueTime, rows: 1 + guesses, guesses: guesses)
  }

  private func guess(
    with speculator: Speculator, atMost most: Int, _ cancellation: Cancellation?
  ) throws(XverseError) {
    speculator.propose(atMost: most)
    guard let (model, reading) = speculation.draft else { return }
    let part = DraftModel.Part(
      speculator: speculator, reading: reading, count: speculator.draftCount(atMost: most))
    guard part.count > 0 else { return }
    let cost = try model.guess([part], cancellation: cancellation)
    speculation.record.recordDraft(
      nanoseconds: cost.nanoseconds, guesses: speculator.guesses.count, isTypical: cost.isTypical)
  }

  /// Forgets guesses that were evaluated.
  func endGuessing() {
    speculation.row = 0
    sequence.cache.truncate(to: length)
  }

  /// Most tokens that can be evaluated behind another one, with the bits that they would have alone.
  private var guessRoom: Int {
    min(context - length, model.model?.rotaryEmbedding.tokensTurnedAlike(after: length) ?? 0) - 1
  }

  /// Evaluates a token that was chosen and guesses behind it, which only the cache holds then.
  ///
  /// - Returns: False when there is no memory for it; the session is as before.
  private func evaluateAhead(
    _ tokens: UnsafeBufferPointer<Int32>, _ cancellation: Cancellation?
  ) throws(XverseError) -> Bool {
    let width = logitsMemory.count
    do throws(XverseError) {
      if speculation.logits.count < tokens.count * width {
        speculation.logits = Buffer()
        speculation.logits = try Buffer(repeating: 0, count: tokens.count * width, allocator: runtime.allocator)
      }
      guard let rows = speculation.logits.mutableElements.baseAddress else { return false }
      try sequence.reserveTokens(length + tokens.count)
      evaluation.tokens = tokens
      evaluation.sequenceLength = length + tokens.count
      evaluation.purpose = .everyLogits(rows)
      evaluation.cancellation = cancellation
      try evaluation.perform()
    } catch {
      guard error.code == .outOfMemory else { throw error }
      return false
    }
    speculation.row = -1
    try takeNextRow(tokens[0])
    return true
  }

  /// Counts a token as the session's whose keys, values and logits are there.
  private func takeNextRow(_ token: Int32) throws(XverseError) {
    try withUnsafePointer(to: token) { pointer throws(XverseError) in
      try sequence.append(UnsafeBufferPointer(start: pointer, count: 1))
    }
    speculation.row += 1
    let row = speculation.logits.elements[(speculation.row * logitsMemory.count)...].prefix(logitsMemory.count)
    _ = logitsMemory.update(fromContentsOf: row)
    hasLogits = true
  }
}
