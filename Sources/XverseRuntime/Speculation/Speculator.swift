// Speculator.swift -- guesses the next tokens of one sequence, so that one pass can evaluate several (speculative decoding,
// Leviathan et al. 2023). Whether a guess is right is decided by whoever samples: nothing here changes what is generated.

import XverseCore

/// The guesses of one answer, from its own text and from a draft model.
///
/// In turn: `append` the token that was chosen; while `guesses` has tokens, the pass before has evaluated what follows.
/// Otherwise `propose`, and evaluate `segment`: the last token and the guesses behind it, with the logits of each. The row
/// of a token says what follows it; that row and the ones behind it are of use as long as the guesses are what is chosen.
///
/// Threads: one owner at a time.
package final class Speculator {
  /// Tokens that were guessed and evaluated, and those of them that were then chosen.
  package private(set) var guessedTokens = 0
  package private(set) var acceptedTokens = 0

  /// The prompt, what was chosen since, and behind `count` what is guessed.
  private var text: Buffer<Int32>
  private var count = 0
  private var lookup: PromptLookup
  private var draft: DraftModel?
  private var isLookingUp: Bool
  private let options: SpeculationOptions
  private let record: SpeculationRecord
  /// What the present guesses come from, and rows of other sequences in their pass.
  private var isFromDraft = false
  private var otherRows = 0

  /// - Parameters:
  ///   - prompt: With all tokens that the sequence has.
  ///   - draft: Used by nobody else as long.
  /// - Returns: nil when there is nothing to guess with, or no memory to do so.
  package init?(
    _ options: SpeculationOptions, prompt: UnsafeBufferPointer<Int32>, draft: DraftModel?, record: SpeculationRecord,
    allocator: MemoryAllocator
  ) {
    self.options = options
    self.record = record
    self.draft = options.draftTokens > 0 ? draft : nil
    isLookingUp = options.promptLookupTokens > 0
    text = Buffer(allocator: allocator)
    lookup = PromptLookup(allocator: allocator)
    guard isLookingUp || self.draft != nil else { return nil }
    self.draft?.begin()
    for token in prompt { add(token) }
    if !isGuessing { return nil }
  }

  /// Whether it can still guess: without memory it stops.
  package var isGuessing: Bool { isLookingUp || draft != nil }

  /// What is guessed to follow the tokens appended so far; valid until the next change.
  package var guesses: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(rebasing: text.elements[count...]) }

  /// The last token and the guesses; valid until the next change.
  package var segment: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(rebasing: text.elements[(count - 1)...]) }

  /// Adds the token that was chosen. Guesses stay as far as it agrees with them. Amortized O(1).
  package func append(_ token: Int32) {
    guard isGuessing else { return }
    // Known whether or not it was worth while to evaluate the guess.
    if let match = lookup.match {
      record.recordGuess(.match(length: match.length), isRight: text[match.end] == token)
    }
    if let guess = guesses.first {
      if isFromDraft { record.recordGuess(.draft, isRight: guess == token) }
      if guess == token {
        acceptedTokens += 1
        record.recordSaving(besides: otherRows)
      }
    }
    add(token)
  }

  private func add(_ token: Int32) {
    guard isGuessing else { return }
    do throws(XverseError) {
      if guesses.first != token {
        dropGuesses()
        try text.append(token)
      }
      count += 1
      if isLookingUp { try lookup.advance(UnsafeBufferPointer(rebasing: text.elements[..<count])) }
    } catch {
      stop()
    }
  }

  /// Guesses what follows the tokens appended so far, in place of what was guessed before.
  ///
  /// - Parameters:
  ///   - room: Most tokens that are of use.
  ///   - otherRows: Tokens of other sequences in the pass that get logits.
  /// - Throws: `cancelled`, `deadline`, while the draft model computes. There are no guesses then.
  package func propose(
    atMost room: Int, besides otherRows: Int = 0, cancellation: Cancellation? = nil
  ) throws(XverseError) {
    self.otherRows = otherRows
    dropGuesses()
    guard isGuessing, count > 0 else { return }
    do throws(XverseError) {
      try look(atMost: min(room, options.promptLookupTokens))
      if guesses.isEmpty { try askDraft(atMost: min(room, options.draftTokens), cancellation) }
    } catch {
      dropGuesses()
      if error.code == .cancelled || error.code == .deadline { throw error }
      stop()
    }
  }

  /// Counts the guesses as evaluated.
  package func countGuesses() { guessedTokens += guesses.count }

  /// Forgets what is guessed.
  package func dropGuesses() { text.truncate(to: count) }

  private func look(atMost limit: Int) throws(XverseError) {
    guard let match = lookup.match else { return }
    let number = record.guessCount(atMost: limit, besides: otherRows) { .match(length: match.length + $0) }
    isFromDraft = false
    // Beyond the end of the text it goes on with the guesses: a text that repeats itself does so for good.
    for index in 0..<number { try text.append(text[match.end + index]) }
  }

  private func askDraft(atMost limit: Int, _ cancellation: Cancellation?) throws(XverseError) {
    guard let draft else { return }
    let number = record.guessCount(atMost: limit, besides: otherRows) { _ in .draft }
    guard number > 0 else { return }
    isFromDraft = true
    do throws(XverseError) {
      let cost = try draft.continue(&text, by: number, cancellation: cancellation)
      record.recordDraft(nanoseconds: cost.nanoseconds, guesses: guesses.count, isTypical: cost.isTypical)
    } catch {
      dropGuesses()
      if error.code == .cancelled || error.code == .deadline { throw error }
      self.draft = nil
    }
  }

  private func stop() {
    dropGuesses()
    isLookingUp = false
    draft = nil
  }
}
