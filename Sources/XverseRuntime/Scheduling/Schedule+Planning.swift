// Schedule+Planning.swift -- what the next pass evaluates.

import XverseCore
import XverseModels

extension Schedule {
  /// What the next pass evaluates: one token of each answer that grows, and parts of prompts.
  func plan() -> [SchedulerPass.Part] {
    let active = running.filter { $0.leader == nil }
    let growing = active.filter(\.isGrowing)
    let prompts = active.filter { !$0.isGrowing }
    let budget = costs.promptTokens(beside: growing.count, maximum: settings.maximumBatchedTokens)
    // The first prompt gets at least half, so that it comes to its end; the short ones behind it need not wait for that.
    let others = prompts.dropFirst().reduce(0) { $0 + $1.pending.count }
    var first = min(prompts.first?.pending.count ?? 0, max((budget + 1) / 2, budget - others))
    var rest = budget - first
    var sizes: [Int] = []
    for prompt in prompts.dropFirst() {
      // A token at least, so that all come to their ends.
      let size = min(prompt.pending.count, max(1, rest))
      sizes.append(size)
      rest = max(0, rest - size)
    }
    first = min(prompts.first?.pending.count ?? 0, first + rest)
    let chunks = zip(prompts, [first] + sizes).map { ($0, $1) }
    return (chunks + growing.map { ($0, 1) }).compactMap { answer, count in
      guard count > 0, let sequence = answer.sequence else { return nil }
      return SchedulerPass.Part(answer, sequence, count: count.limited(by: answer, keysDependOnLength))
    }
  }

  /// Lets the answers of a pass guess their next tokens, where there is memory to evaluate them.
  ///
  /// - Parameter cancellation: Ends the guesses of the draft model.
  func guessing(_ parts: [SchedulerPass.Part], _ cancellation: Cancellation) -> [SchedulerPass.Part] {
    guard passesWithoutGuesses == 0 else {
      passesWithoutGuesses -= 1
      for part in parts { part.answer.dropGuesses() }
      return parts
    }
    var parts = parts
    var rows = parts.count { $0.wantsLogits }
    var drafts: [DraftModel.Part] = []
    for part in parts where part.answer.isGrowing {
      let most = min(
        settings.maximumBatchedTokens - rows, context - part.answer.tokens.count,
        rotaryEmbedding.tokensTurnedAlike(after: part.sequence.length) - 1)
      let draft = part.answer.guess(atMost: most, besides: rows - 1)
      rows += draft?.count ?? part.answer.guessCount
      if let draft { drafts.append(draft) }
    }
    askDraft(drafts, growing: parts.count { $0.answer.isGrowing }, cancellation)
    for index in parts.indices where parts[index].answer.guessCount > 0 {
      let (answer, sequence) = (parts[index].answer, parts[index].sequence)
      do throws(XverseError) {
        try sequence.reserveTokens(sequence.length + 1 + answer.guessCount)
        try sequence.cache.reserve(sequence.length + 1 + answer.guessCount)
        parts[index].guessCount = answer.guessCount
      } catch {
        answer.dropGuesses()
        passesWithoutGuesses = 16
      }
    }
    return parts
  }

  /// Lets the draft model guess; of prompts that it has not read it reads as much beside that as a pass would.
  private func askDraft(_ parts: [DraftModel.Part], growing: Int, _ cancellation: Cancellation) {
    guard let draft, !parts.isEmpty else { return }
    let budget = costs.promptTokens(beside: growing, maximum: settings.maximumBatchedTokens)
    // A pass that is cancelled ends at once, without guesses.
    guard let cost = try? draft.guess(parts, reading: budget, cancellation: cancellation) else { return }
    speculation.recordDraft(
      nanoseconds: cost.nanoseconds, guesses: parts.reduce(0) { $0 + $1.speculator.guesses.count },
      isTypical: cost.isTypical)
  }

  /// Whether keys depend on how long the sequence was when they were computed.
  var keysDependOnLength: Bool {
    if case .dynamic = model.configuration.ropeScaling { true } else { false }
  }
}

extension Int {
  /// As many tokens as can be evaluated at once when what was generated has to be evaluated token by token.
  fileprivate func limited(by answer: ScheduledAnswer, _ isStepwise: Bool) -> Int {
    guard isStepwise, let length = answer.sequence?.length, length + self > answer.promptCount else { return self }
    return Swift.max(1, answer.promptCount - length)
  }
}
