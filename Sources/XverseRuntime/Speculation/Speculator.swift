// Speculator.swift -- guesses the next tokens of one sequence, so that one pass can evaluate several (speculative decoding,
// Leviathan et al. 2023). Whether a guess is right is decided by whoever samples: nothing here changes what is generated.

import XverseCore

/// The guesses of one answer, from its own text and from a draft model.
///
/// In turn: `append` the token that was chosen; while `guesses` has tokens, the pass before has evaluated what follows.
/// Otherwise `propose`; where that guesses nothing, a draft model may add as many guesses as `draftCount` says. Then evaluate
/// `segment`: the last token and the guesses behind it, with the logits of each. The row of a token says what follows it;
/// that row and the ones behind it are of use as long as the guesses are what is chosen.
///
/// Threads: one owner at a time.
package final class Speculator {
  /// Tokens that were guessed and evaluated, and those of them that were then chosen.
  package private(set) var guessedTokens = 0
  package private(set) var acceptedTokens = 0

  /// The prompt, what was chosen since, and behind `count` what is guessed.
  private var ids: Buffer<Int32>
  private var count = 0
  private var lookup: PromptLookup
  private var isLookingUp: Bool
  private var isDrafting: Bool
  private let options: SpeculationOptions
  private let record: SpeculationRecord
  /// What the present guesses come from, and rows of other sequences in their pass.
  private var isFromDraft = false
  private var otherRows = 0

  /// - Parameters:
  ///   - prompt: With all tokens that the sequence has.
  ///   - hasDraft: Whether there is a draft model to guess with.
  /// - Returns: nil when there is nothing to guess with, or no memory to do so.
  package init?(
    _ options: SpeculationOptions, prompt: UnsafeBufferPointer<Int32>, hasDraft: Bool, record: SpeculationRecord,
    allocator: MemoryAllocator
  ) {
    self.options = options
    self.record = record
    isDrafting = hasDraft && options.draftTokens > 0
    isLookingUp = options.promptLookupTokens > 0
    ids = Buffer(allocator: allocator)
    lookup = PromptLookup(allocator: allocator)
    guard isGuessing else { return nil }
    for token in prompt { add(token) }
    if !isGuessing { return nil }
  }

  /// Whether it can still guess: without memory it stops.
  package var isGuessing: Bool { isLookingUp || isDrafting }

  /// The tokens appended so far, and the guesses; valid until the next change.
  var text: UnsafeBufferPointer<Int32> { ids.elements }

  /// What is guessed to follow the tokens appended so far; valid until the next change.
  package var guesses: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(rebasing: text[count...]) }

  /// The last token and the guesses; valid until the next change.
  package var segment: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(rebasing: text[(count - 1)...]) }

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
        try ids.append(token)
      }
      count += 1
      if isLookingUp { try lookup.advance(UnsafeBufferPointer(rebasing: text[..<count])) }
    } catch {
      stop()
    }
  }

  /// Guesses what follows the tokens appended so far, in place of what was guessed before, as what followed them earlier in
  /// the text.
  ///
  /// - Parameters:
  ///   - room: Most tokens that are of use.
  ///   - otherRows: Tokens of other sequences in the pass that get logits.
  package func propose(atMost room: Int, besides otherRows: Int = 0) {
    self.otherRows = otherRows
    dropGuesses()
    guard isLookingUp, count > 0, let match = lookup.match else { return }
    let number = record.guessCount(atMost: min(room, options.promptLookupTokens), besides: otherRows) {
      .match(length: match.length + $0)
    }
    isFromDraft = false
    do throws(XverseError) {
      // Beyond the end of the text it goes on with the guesses: a text that repeats itself does so for good.
      for index in 0..<number { try ids.append(text[match.end + index]) }
    } catch {
      stop()
    }
  }

  /// How many tokens a draft model should guess, when `propose` has found nothing.
  ///
  /// - Parameter room: Most tokens that are of use.
  func draftCount(atMost room: Int) -> Int {
    guard isDrafting, count > 0, guesses.isEmpty else { return 0 }
    return record.guessCount(atMost: min(room, options.draftTokens), besides: otherRows) { _ in .draft }
  }

  /// Adds a guess of a draft model.
  ///
  /// - Returns: Whether there was memory for it.
  func addGuess(_ token: Int32) -> Bool {
    isFromDraft = true
    do throws(XverseError) { try ids.append(token) } catch {
      stop()
      return false
    }
    return true
  }

  /// Goes on without a draft model.
  func stopDrafting() {
    if isFromDraft { dropGuesses() }
    isDrafting = false
  }

  /// Counts the guesses as evaluated.
  package func countGuesses() { guessedTokens += guesses.count }

  /// Forgets what is guessed.
  package func dropGuesses() { ids.truncate(to: count) }

  private func stop() {
    dropGuesses()
    (isLookingUp, isDrafting) = (false, false)
  }
}
