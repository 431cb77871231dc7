// DraftModel.swift -- a smaller model with the same tokens, which guesses what the model of a session or of a scheduler would
// choose.

import XverseCore
import XverseLoading
import XverseModels
import XverseTensors

/// What a draft model has read of one text.
///
/// Threads: one owner at a time.
package final class DraftReading {
  fileprivate let sequence: TokenSequence
  /// Tokens that are known to be those of the text.
  private var agreedCount = 0
  /// Whether it has read the beginning of the text.
  fileprivate var hasBegun = false

  fileprivate init(_ sequence: TokenSequence) { self.sequence = sequence }

  /// Begins another text: what it shares with the one before is not read again.
  func begin() { (agreedCount, hasBegun) = (0, false) }

  /// Forgets tokens that are not those of the text, of which only the end has changed since the last call. At least the last
  /// token of the text is left to read.
  fileprivate func agree(with text: UnsafeBufferPointer<Int32>) {
    let (held, most) = (sequence.tokens, min(sequence.length, text.count - 1))
    while agreedCount < most, held[agreedCount] == text[agreedCount] { agreedCount += 1 }
    sequence.truncate(to: agreedCount)
  }
}

/// A draft model, which guesses for any number of texts at a time.
///
/// It takes its most probable token each time. A proposal without chance is accepted with the probability that the other
/// model gives it.
///
/// Threads: one owner at a time.
package final class DraftModel {
  /// A text, and how many tokens are to be guessed behind it.
  struct Part {
    let speculator: Speculator
    let reading: DraftReading
    let count: Int
  }

  /// What guessing took.
  struct Cost {
    /// Without the first reading of a text.
    var nanoseconds: Int64 = 0
    /// Whether that was for guesses alone, so that as many take as long again.
    var isTypical = true
  }

  private let model: LoadedModel
  private let runtime: Runtime
  private let context: Int
  private let layout: KVLayout
  private let prefixes: PrefixCache?
  private let vocabularySize: Int
  private let pass: DraftPass

  /// - Parameters:
  ///   - context: Most tokens; nil for the draft model's own. It does not guess beyond.
  ///   - target: The model that decides.
  ///   - prefixes: Of the draft model and runtime.
  /// - Throws: `mismatch` when the two have different tokens; `misuse` for a model without weights.
  package init(
    _ model: LoadedModel, for target: LoadedModel, _ runtime: Runtime, context: Int? = nil,
    cacheElement: KVElement = .float32, prefixes: PrefixCache? = nil
  ) throws(XverseError) {
    guard let weights = model.model else {
      throw .misuse("model '\(model.name.inMessage)' was loaded with vocab_only, expected one with weights")
    }
    try model.requireSameTokens(as: target)
    self.model = model
    self.runtime = runtime
    self.context = context ?? model.configuration.maximumPositions
    self.prefixes = prefixes
    layout = KVLayout(model.configuration, cacheElement)
    vocabularySize = min(model.configuration.vocabularySize, target.configuration.vocabularySize)
    pass = DraftPass(weights, runtime)
  }

  /// Takes the work memory of passes over so many texts now.
  ///
  /// - Throws: `outOfMemory`.
  func reserveScratch(texts: Int) throws(XverseError) {
    try runtime.reserveScratch(
      model.configuration, tokens: XverseModel.tokensPerPass + 2 * texts, positions: context, outputs: texts)
  }

  /// - Throws: `outOfMemory`.
  func makeReading() throws(XverseError) -> DraftReading {
    DraftReading(
      try TokenSequence(
        layout, context: context, source: runtime.kvBlocks, allocator: runtime.allocator, prefixes: prefixes))
  }

  /// Appends guesses to texts: fewer, where its context ends or there is no memory. A text of which more is to be read
  /// than `budget` allows gets none, and is read as far as that.
  ///
  /// - Parameter budget: Tokens to read, beyond the newest of each text and its own guesses.
  /// - Throws: `cancelled`, `deadline`.
  func guess(
    _ parts: [Part], reading budget: Int = .max, cancellation: Cancellation?
  ) throws(XverseError) -> Cost {
    var cost = Cost()
    var budget = budget
    // The tokens that each text has in the end.
    var live: [(part: Part, end: Int)] = []
    for part in parts where part.count > 0 {
      let text = part.speculator.text
      guard text.count < context else { continue }
      part.reading.agree(with: text)
      // The other model may have more rows than there are tokens.
      guard text[part.reading.sequence.length...].allSatisfy({ Int($0) < model.configuration.vocabularySize }) else {
        part.speculator.stopDrafting()
        continue
      }
      // Its own last guess, and the token that was chosen behind it.
      if text.count - part.reading.sequence.length > 2 { cost.isTypical = false }
      live.append((part, min(context, text.count + part.count)))
    }
    while !live.isEmpty {
      var room = XverseModel.tokensPerPass
      var isFirst = false
      live = live.filter { part, _ in
        let (speculator, sequence) = (part.speculator, part.reading.sequence)
        do throws(XverseError) {
          if sequence.length == 0 { _ = try sequence.adoptKnown(speculator.text) }
          let pending = UnsafeBufferPointer(rebasing: speculator.text[sequence.length...])
          let count = pending.count <= 2 ? pending.count : min(pending.count, room, budget)
          guard count > 0 else { return room == 0 && budget > 0 }
          if pending.count > 2 { (room, budget) = (room - count, budget - count) }
          isFirst = isFirst || !part.reading.hasBegun
          try sequence.reserveTokens(sequence.length + count)
          try sequence.cache.reserve(sequence.length + count)
          pass.append(UnsafeBufferPointer(rebasing: pending[..<count]), sequence, isWhole: count == pending.count)
          return true
        } catch {
          speculator.stopDrafting()
          return false
        }
      }
      guard !pass.isEmpty else { break }
      do throws(XverseError) { cost.nanoseconds += try pass.perform(cancellation) * (isFirst ? 0 : 1) } catch {
        for part in parts { part.speculator.dropGuesses() }
        if error.code == .cancelled || error.code == .deadline { throw error }
        for part in parts { part.speculator.stopDrafting() }
        break
      }
      live = live.filter { part, end in
        guard let token = pass.token(after: part.reading.sequence) else { return true }
        part.reading.hasBegun = true
        guard token < vocabularySize, part.speculator.addGuess(Int32(truncatingIfNeeded: token)) else { return false }
        return part.speculator.text.count < end
      }
    }
    return cost
  }
}

/// The work that a draft model hands to the compute thread: stretches of several texts through the model.
private final class DraftPass: ComputeWork {
  private let model: XverseModel
  private let runtime: Runtime
  private var segments: [(tokens: UnsafeBufferPointer<Int32>, sequence: TokenSequence, isWhole: Bool)] = []
  /// The most probable token behind each text whose last token was in the pass.
  private var chosen: [ObjectIdentifier: Int] = [:]
  private var batch = TokenBatch()
  private var cancellation: Cancellation?
  private var error: XverseError?
  private let ticket = ComputeTicket()

  init(_ model: XverseModel, _ runtime: Runtime) { (self.model, self.runtime) = (model, runtime) }

  var isEmpty: Bool { segments.isEmpty }

  func append(_ tokens: UnsafeBufferPointer<Int32>, _ sequence: TokenSequence, isWhole: Bool) {
    segments.append((tokens, sequence, isWhole))
  }

  func token(after sequence: TokenSequence) -> Int? { chosen[ObjectIdentifier(sequence)] }

  /// Evaluates what was appended.
  ///
  /// - Returns: The nanoseconds of the pass.
  /// - Throws: What the model throws; nothing happened then.
  func perform(_ cancellation: Cancellation?) throws(XverseError) -> Int64 {
    self.cancellation = cancellation
    let begin = MonotonicClock.now
    defer {
      segments.removeAll(keepingCapacity: true)
      self.cancellation = nil
    }
    runtime.computeThread.perform(self, with: ticket)
    if let error { throw error }
    return MonotonicClock.now - begin - ticket.queueTime
  }

  func run() {
    error = nil
    chosen.removeAll(keepingCapacity: true)
    for (tokens, sequence, isWhole) in segments {
      batch.append(tokens, to: sequence.cache, outputs: isWhole ? nil : tokens.count..<tokens.count)
    }
    defer { batch.removeAll() }
    do throws(XverseError) {
      try keep(model.logits(of: batch, kernels: runtime.kernels, arena: runtime.arena, cancellation: cancellation))
    } catch {
      for segment in segments { segment.sequence.cache.truncate(to: segment.sequence.length) }
      self.error = error
    }
    runtime.noteArenaSize()
  }

  private func keep(_ logits: Matrix) throws(XverseError) {
    var row = 0
    for (tokens, sequence, isWhole) in segments {
      try sequence.append(tokens)
      guard isWhole else { continue }
      let ofToken = UnsafeBufferPointer(start: logits.data + row * logits.columns, count: logits.columns)
      chosen[ObjectIdentifier(sequence)] = indexOfLargest(ofToken) ?? .max
      row += 1
    }
  }
}
