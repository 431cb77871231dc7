// ScheduledAnswer.swift -- one answer on its way through a scheduler.

import Synchronization
import XverseCore
import XverseLoading

/// What to answer, and what became of it so far.
///
/// Threads: the schedule owns it, but for `cancel`.
final class ScheduledAnswer {
  enum State {
    /// For the first time, or again after it had to give up its memory.
    case waiting
    /// Its prompt is evaluated, or it grows.
    case running
    case finished
  }

  let outbox: AnswerOutbox
  /// Answers of a lower number go first, and of those the older ones.
  let priority: Int
  let promptCount: Int
  let submitted = MonotonicClock.now
  var state = State.waiting
  /// Younger answers that began while this one waited.
  var overtaken = 0
  /// What grows, while it runs.
  private(set) var answer: Answer?
  /// Its blocks, while it runs.
  var sequence: TokenSequence?
  /// What guesses its next tokens, if asked for and while it runs.
  private(set) var speculator: Speculator?
  /// What the draft model has read of its text, if there is one and while it runs.
  private(set) var draftReading: DraftReading?
  /// Nanoseconds from its submission to its first token.
  private(set) var firstTokenTime: Int64?
  /// A running answer that is about to evaluate tokens which this one begins with too, and how many they have in common.
  var leader: (answer: ScheduledAnswer, common: Int)?

  /// How it ended, until that is told.
  private var end: AnswerEnd?
  /// Of an answer that went a token too far, or a part of one, or gave up its memory.
  private var forgotten: AnswerRecord?
  /// Of the speculators before this one: tokens guessed and evaluated, and those of them that were then chosen.
  private var guessed = (tokens: 0, accepted: 0)
  private let options: GenerationOptions
  private let continuesText: Bool
  /// On the monotonic clock, in nanoseconds.
  private let deadline: Int64
  private let cancelled = Atomic<Bool>(false)
  /// The prompt and what was generated.
  private var ids: Buffer<Int32>

  /// - Parameter options: As `usable()` returns them.
  init(
    id: UInt64, prompt: UnsafeBufferPointer<Int32>, _ options: GenerationOptions, continuesText: Bool,
    allocator: MemoryAllocator
  ) throws(XverseError) {
    outbox = AnswerOutbox(id: id, allocator: allocator)
    priority = options.priority
    promptCount = prompt.count
    self.options = options
    self.continuesText = continuesText
    deadline = options.deadline > 0 ? MonotonicClock.time(after: options.deadline) : .max
    ids = Buffer(allocator: allocator)
    try ids.append(contentsOf: prompt)
  }

  var id: UInt64 { outbox.id }

  /// Prompt and answer; valid until the answer grows.
  var tokens: UnsafeBufferPointer<Int32> { ids.elements }

  /// The tokens that have no keys and values yet.
  var pending: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(rebasing: ids.elements[(sequence?.length ?? 0)...]) }

  /// Whether only its newest token is to be evaluated.
  var isGrowing: Bool { ids.count > promptCount && pending.count == 1 }

  /// Whether it goes before `other` where only one can.
  func precedes(_ other: ScheduledAnswer) -> Bool { (priority, id) < (other.priority, other.id) }

  /// Tokens that are guessed to follow its newest one.
  var guessCount: Int { speculator?.guesses.count ?? 0 }

  /// What it has come to, as far as it has run.
  var statistics: SessionStatistics {
    var statistics = answer?.statistics ?? forgotten?.statistics ?? SessionStatistics()
    statistics.promptTokens = promptCount
    statistics.draftTokens = guessed.tokens + (speculator?.guessedTokens ?? 0)
    statistics.acceptedDraftTokens = guessed.accepted + (speculator?.acceptedTokens ?? 0)
    return statistics
  }

  /// Forgets guesses that no pass evaluates.
  func dropGuesses() { speculator?.dropGuesses() }

  // MARK: the end

  /// Asks for the end; any thread at any time.
  func cancel() { cancelled.store(true, ordering: .relaxed) }

  var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

  /// Why it should end now, whatever it is doing.
  var interruption: FinishReason? {
    if isCancelled { return .cancelled }
    return deadline != .max && MonotonicClock.now >= deadline ? .deadline : nil
  }

  // MARK: growing

  /// Makes what is needed to run.
  ///
  /// - Parameter draft: The model to guess with; nil: none.
  /// - Throws: `outOfMemory`; what `Answer` throws.
  func begin(
    _ model: LoadedModel, draft: DraftModel?, _ record: SpeculationRecord,
    makeSequence: () throws(XverseError) -> TokenSequence, allocator: MemoryAllocator
  ) throws(XverseError) {
    let sequence = try makeSequence()
    try restoreAnswer(model, allocator)
    self.sequence = sequence
    state = .running
    if speculator == nil, let room = answer?.room, room > 1 {
      speculator = Speculator(
        options.speculation, prompt: tokens, hasDraft: draft != nil, record: record, allocator: allocator)
    }
    if options.speculation.draftTokens > 0, speculator != nil { draftReading = try? draft?.makeReading() }
  }

  /// Guesses what follows its newest token.
  ///
  /// - Parameters:
  ///   - most: Most tokens that are of use.
  ///   - rows: Of other answers in the pass.
  /// - Returns: What a draft model should guess instead, if anything.
  func guess(atMost most: Int, besides rows: Int) -> DraftModel.Part? {
    dropGuesses()
    guard let speculator, let answer, most > 0 else { return nil }
    let room = min(most, answer.room - 1)
    speculator.propose(atMost: room, besides: rows)
    guard let draftReading else { return nil }
    let count = speculator.draftCount(atMost: room)
    return count > 0 ? DraftModel.Part(speculator: speculator, reading: draftReading, count: count) : nil
  }

  /// Goes on without a draft model.
  func stopDrafting() {
    speculator?.stopDrafting()
    draftReading = nil
  }

  /// Makes the answer, if there is none: from the beginning, or from the tokens that were generated.
  func restoreAnswer(_ model: LoadedModel, _ allocator: MemoryAllocator) throws(XverseError) {
    guard answer == nil else { return }
    let prompt = UnsafeBufferPointer(rebasing: tokens[..<promptCount])
    let begun = try Answer(
      model, options, prompt: prompt, continuesText: continuesText, allocator: allocator, start: submitted)
    if let forgotten {
      try begun.replay(UnsafeBufferPointer(rebasing: tokens[promptCount...]), of: forgotten)
    } else {
      begun.statistics.queueTime = MonotonicClock.now - submitted
    }
    (answer, forgotten) = (begun, nil)
  }

  /// Goes back to before the newest token was chosen, for which there was no memory: `restoreAnswer` and a pass repeat it.
  func forgetAnswer() {
    guard let sequence, let answer else { return }
    forgotten = answer.record
    self.answer = nil
    dropGuesses()
    if pending.isEmpty { sequence.truncate(to: sequence.length - 1) }
  }

  /// Counts tokens that others had evaluated, and takes them.
  func adopt(_ take: (TokenSequence) throws(XverseError) -> Int) throws(XverseError) {
    guard let sequence else { return }
    let count = try take(sequence)
    if let answer, answer.statistics.generatedTokens == 0 { answer.statistics.cachedTokens += count }
  }

  /// Adds the token that follows from `logits`.
  ///
  /// - Returns: Why the answer ends with it; nil: it goes on.
  func extend(
    _ logits: UnsafeBufferPointer<Float>, context: Int, events: AnswerEvents
  ) throws(XverseError) -> FinishReason? {
    guard let answer else { throw XverseError(.internal, "an answer without its sampler") }
    if answer.isFull { return .length }
    try ids.reserve(ids.count + 1)
    let (token, logprob, end) = try answer.extend(logits)
    let told = ToldToken(token: token, logprob: answer.options.wantsLogprobs ? logprob : nil, top: answer.lastTop)
    let outcome = answer.withText { text -> Result<Void, XverseError> in
      do throws(XverseError) { return .success(try events.post(told, text, to: outbox)) } catch {
        return .failure(error)
      }
    }
    try outcome.get()
    try ids.append(token)
    speculator?.append(token)
    if answer.statistics.generatedTokens == 1 {
      firstTokenTime = answer.statistics.firstTokenTime
      answer.statistics.prefillTime = answer.statistics.firstTokenTime - answer.statistics.queueTime
    }
    return end ?? (ids.count > context ? .length : nil)
  }

  /// Ends, and lets go of its blocks. `tellEnd` must follow.
  func finish(_ reason: FinishReason, _ error: XverseError?, _ model: LoadedModel, _ allocator: MemoryAllocator) {
    var (reason, error) = (reason, error)
    if error == nil, answer != nil || forgotten != nil {
      do throws(XverseError) {
        try restoreAnswer(model, allocator)
        reason = try answer?.end(reason) ?? reason
      } catch let failure {
        (reason, error) = (.error, failure)
      }
    }
    var statistics = statistics
    answer?.statistics = statistics
    if error != nil { answer?.dropText() }
    answer?.finish(reason)
    statistics = answer?.statistics ?? statistics
    statistics.finishReason = reason
    end = AnswerEnd(
      reason: reason, error: error, statistics: statistics, result: error == nil ? answer?.result : nil)
    release(.finished)
    (forgotten, speculator) = (nil, nil)
  }

  /// Posts the end: when all figures say that it has ended.
  func tellEnd(_ events: AnswerEvents) {
    guard let end else { return }
    if let answer {
      answer.withText { events.post(to: outbox, text: $0, end: end) }
    } else {
      events.post(to: outbox, text: UnsafeBufferPointer(start: nil, count: 0), end: end)
    }
    (answer, self.end) = (nil, nil)
  }

  /// Lets go of its blocks and of all that can be made again, and waits for its turn.
  func suspend() {
    if let answer { forgotten = answer.record }
    answer = nil
    guessed = (statistics.draftTokens, statistics.acceptedDraftTokens)
    speculator = nil
    release(.waiting)
  }

  private func release(_ state: State) {
    dropGuesses()
    sequence?.release()
    (sequence, draftReading, leader, self.state) = (nil, nil, nil, state)
  }
}
