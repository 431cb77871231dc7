// Schedule.swift -- who waits, who runs, and what the next pass evaluates. docs/scheduling.md draws the states and explains
// the policy.

import XverseCore
import XverseLoading
import XverseModels
import XverseTensors

/// The answers of a scheduler that have not ended. One `step` is one pass.
///
/// Threads: one owner at a time.
final class Schedule {
  /// An answer that so many younger ones have overtaken is next, whatever its priority.
  static let mostOvertaken = 32
  /// An answer waits for another that evaluates the same tokens when it saves at least so many.
  static let leastShared = 16

  /// Counts since the beginning.
  struct Counts {
    var promptTokens = 0
    var cachedTokens = 0
    var generatedTokens = 0
    /// Of answers that have ended: tokens guessed and evaluated, and those of them that were then chosen.
    var draftTokens = 0
    var acceptedDraftTokens = 0
    var finished = 0
    var preemptions = 0
    var passes = 0
  }

  private(set) var waiting: [ScheduledAnswer] = []
  /// In the order of `precedes`.
  private(set) var running: [ScheduledAnswer] = []
  private(set) var counts = Counts()
  /// Called before a pass with the answers in it.
  var onPass: ([ScheduledAnswer]) -> Void = { _ in }

  let model: LoadedModel
  private let runtime: Runtime
  let settings: SchedulerSettings
  let context: Int
  private let layout: KVLayout
  let rotaryEmbedding: RotaryEmbedding
  let prefixes: PrefixCache?
  private let pass: SchedulerPass
  private(set) var costs: PassCosts
  /// What the answers learned about guessing.
  var speculation = SpeculationRecord()
  /// Guesses for the answers; nil: none does.
  private(set) var draft: DraftModel?
  /// Passes for which nothing is guessed, because there was no memory.
  var passesWithoutGuesses = 0
  private var finished: [ScheduledAnswer] = []
  /// While memory is short nobody begins, until somebody has ended.
  private var isShort = false

  /// - Throws: `misuse` when the model has no weights; `outOfMemory`.
  init(
    _ model: LoadedModel, _ runtime: Runtime, _ settings: SchedulerSettings, prefixes: PrefixCache?,
    events: AnswerEvents
  ) throws(XverseError) {
    guard let weights = model.model else {
      throw .misuse("model '\(model.name.inMessage)' was loaded with vocab_only, expected one with weights")
    }
    self.model = model
    self.runtime = runtime
    self.settings = settings
    self.prefixes = prefixes
    context = settings.context ?? model.configuration.maximumPositions
    rotaryEmbedding = weights.rotaryEmbedding
    layout = KVLayout(model.configuration, settings.cacheElement)
    costs = PassCosts(maximumSequences: settings.maximumSequences)
    pass = SchedulerPass(weights, runtime, context: context, events: events)
    // So that no pass fails for want of it.
    try runtime.reserveScratch(
      model.configuration, tokens: settings.maximumBatchedTokens + settings.maximumSequences, positions: context,
      outputs: settings.maximumSequences)
  }

  var isEmpty: Bool { waiting.isEmpty && running.isEmpty }

  func add(_ answer: ScheduledAnswer) { waiting.append(answer) }

  /// Sets the model that guesses for the answers that begin to run from now on, in place of the one before; nil for none.
  func setDraft(_ draft: DraftModel?) {
    for answer in running { answer.stopDrafting() }
    self.draft = draft
  }

  /// Ends what should end, begins what can begin, and evaluates one pass.
  ///
  /// - Parameter cancellation: Ends the pass, after which nothing has happened in it.
  func step(_ cancellation: Cancellation) {
    endInterrupted()
    begin()
    followLeaders()
    var parts = withMemory(plan())
    guard !parts.isEmpty else { return }
    counts.passes += 1
    onPass(parts.map(\.answer))
    parts = guessing(parts, cancellation)
    do throws(XverseError) {
      let (done, nanoseconds) = try pass.perform(parts, cancellation)
      record(done, nanoseconds)
    } catch {
      switch error.code {
      case .cancelled, .deadline: break
      case .outOfMemory where parts.contains { $0.guessCount > 0 }: passesWithoutGuesses = 16
      case .outOfMemory: giveUpMemory(for: error)
      default: for part in parts { finish(part.answer, .error, error) }
      }
    }
  }

  private func record(_ parts: [SchedulerPass.Part], _ nanoseconds: Int64) {
    let promptTokens = parts.reduce(0) { $0 + ($1.grew ? 0 : $1.count) }
    let guesses = parts.reduce(0) { $0 + $1.guessCount }
    if guesses == 0 {
      costs.record(answers: parts.count { $0.grew }, promptTokens: promptTokens, nanoseconds: nanoseconds)
    }
    if promptTokens == 0 {
      speculation.recordPass(nanoseconds: nanoseconds, rows: parts.count + guesses, guesses: guesses)
    }
    counts.promptTokens += promptTokens
    counts.generatedTokens += parts.reduce(0) { $0 + $1.newTokens }
    // Those that there was no memory for have a token too many, and take it back; the drafts or one answer make room for
    // them.
    let lackedMemory = parts.contains { part in
      if case .failure(let error) = part.end { error.code == .outOfMemory } else { false }
    }
    let hasRoom = lackedMemory && endDrafts()
    let canMakeRoom = hasRoom || running.count > 1
    for part in parts {
      switch part.end {
      case nil: break
      case .success(let reason): finish(part.answer, reason, nil)
      case .failure(let error) where error.code == .outOfMemory && canMakeRoom: part.answer.forgetAnswer()
      case .failure(let error): finish(part.answer, FinishReason(error), error)
      }
    }
    if lackedMemory, !hasRoom, running.count > 1, let last = running.last { suspend(last) }
  }

  // MARK: beginning and ending

  private func endInterrupted() {
    var interrupted: [(ScheduledAnswer, FinishReason)] = []
    for answers in [running, waiting] {
      for answer in answers { if let reason = answer.interruption { interrupted.append((answer, reason)) } }
    }
    guard !interrupted.isEmpty else { return }
    for (answer, reason) in interrupted {
      end(answer, reason, reason == .cancelled ? XverseError(.cancelled, "cancelled") : nil)
    }
    waiting.removeAll { $0.state == .finished }
    running.removeAll { $0.state == .finished }
  }

  private func finish(_ answer: ScheduledAnswer, _ reason: FinishReason, _ error: XverseError?) {
    let wasWaiting = answer.state == .waiting
    end(answer, reason, error)
    if wasWaiting { waiting.removeAll { $0 === answer } } else { running.removeAll { $0 === answer } }
  }

  private func end(_ answer: ScheduledAnswer, _ reason: FinishReason, _ error: XverseError?) {
    if answer.state == .running { isShort = false }
    counts.finished += 1
    let statistics = answer.statistics
    counts.cachedTokens += statistics.cachedTokens
    counts.draftTokens += statistics.draftTokens
    counts.acceptedDraftTokens += statistics.acceptedDraftTokens
    answer.finish(reason, error, model, runtime.allocator)
    finished.append(answer)
  }

  /// The answers that ended since the last call; their ends are not told yet.
  func takeFinished() -> [ScheduledAnswer] {
    defer { finished = [] }
    return finished
  }

  /// Lets waiting answers run as long as there is room.
  private func begin() {
    if running.isEmpty { isShort = false }
    while !isShort, running.count < settings.maximumSequences, let place = nextWaiting() {
      let next = waiting[place]
      do throws(XverseError) {
        try next.begin(
          model, draft: draft, speculation, makeSequence: makeSequence, allocator: runtime.allocator)
        waiting.remove(at: place)
        for other in waiting where other.id < next.id { other.overtaken += 1 }
        running.insert(next, at: running.firstIndex { next.precedes($0) } ?? running.count)
        try takeWhatOthersHave(next)
      } catch {
        if error.code == .outOfMemory, endDrafts() { continue }
        let isAlone = running.allSatisfy { $0 === next }
        if error.code == .outOfMemory && !isAlone { suspend(next) } else { finish(next, .error, error) }
      }
    }
  }

  private func makeSequence() throws(XverseError) -> TokenSequence {
    try TokenSequence(
      layout, context: context, source: runtime.kvBlocks, allocator: runtime.allocator, prefixes: prefixes)
  }

  /// The place of the waiting answer that goes next.
  private func nextWaiting() -> Int? {
    var best: (place: Int, isPatient: Bool)?
    for (place, answer) in waiting.enumerated() {
      let isPatient = answer.overtaken >= Self.mostOvertaken
      guard let (other, otherIsPatient) = best else {
        best = (place, isPatient)
        continue
      }
      let isBefore =
        isPatient == otherIsPatient
        ? isPatient ? answer.id < waiting[other].id : answer.precedes(waiting[other]) : isPatient
      if isBefore { best = (place, isPatient) }
    }
    return best?.place
  }

  /// Takes an answer's memory and lets it wait for its turn to come again.
  private func suspend(_ answer: ScheduledAnswer) {
    isShort = true
    guard answer.state == .running else { return }
    running.removeAll { $0 === answer }
    answer.suspend()
    waiting.append(answer)
    counts.preemptions += 1
  }

  // MARK: shared beginnings

  /// Shares blocks that earlier answers filled, or picks the running one whose blocks are worth waiting for.
  private func takeWhatOthersHave(_ answer: ScheduledAnswer) throws(XverseError) {
    guard let sequence = answer.sequence else { return }
    try answer.adopt { (sequence) throws(XverseError) in try sequence.adoptKnown(answer.pending) }
    if keysDependOnLength { return }
    // The last token is evaluated in any case.
    let (tokens, most) = (answer.tokens, answer.tokens.count - 1)
    let least = sequence.length + Self.leastShared
    var best: (answer: ScheduledAnswer, common: Int)?
    for other in running where other.leader == nil && other.precedes(answer) {
      let theirs = other.tokens
      let limit = min(most, theirs.count)
      // Most prompts differ in the first tokens that are of use.
      guard limit >= max(least, best?.common ?? 0), tokens[least - 1] == theirs[least - 1] else { continue }
      let common = min(most, tokens.countInCommon(with: theirs))
      if common >= least, common > best?.common ?? 0 { best = (other, common) }
    }
    answer.leader = best
  }

  /// Lets answers go on whose leaders have evaluated what they share, or are gone.
  private func followLeaders() {
    for answer in running {
      guard let (leader, common) = answer.leader else { continue }
      guard let source = leader.sequence, leader.state == .running else {
        answer.leader = nil
        _ = retrying(answer) { () throws(XverseError) in try takeWhatOthersHave(answer) }
        continue
      }
      guard source.length >= common else { continue }
      answer.leader = nil
      _ = retrying(answer) { () throws(XverseError) in
        try answer.adopt { (sequence) throws(XverseError) in
          let before = sequence.length
          if before < common { try sequence.share(source, count: common) }
          return sequence.length - before
        }
      }
    }
  }

  // MARK: memory

  /// Makes room for the tokens of a pass; answers that come last give up theirs for those that come first.
  private func withMemory(_ parts: [SchedulerPass.Part]) -> [SchedulerPass.Part] {
    for part in parts.sorted(by: { $0.answer.precedes($1.answer) }) {
      let length = part.sequence.length + part.count
      _ = retrying(part.answer) { () throws(XverseError) in
        try part.answer.restoreAnswer(model, runtime.allocator)
        try part.sequence.reserveTokens(length)
        try part.sequence.cache.reserve(length)
      }
    }
    return parts.filter { $0.answer.state == .running }
  }

  /// Takes the memory of what the draft model has read; the answers that run go on without it.
  ///
  /// - Returns: Whether there was any.
  private func endDrafts() -> Bool {
    let drafting = running.filter { $0.draftReading != nil }
    for answer in drafting { answer.stopDrafting() }
    return !drafting.isEmpty
  }

  /// Runs `body` for a running answer; while memory is short, after suspending the last one of the others.
  ///
  /// - Returns: Whether it was done; if not, the answer runs no more.
  private func retrying(_ answer: ScheduledAnswer, _ body: () throws(XverseError) -> Void) -> Bool {
    while answer.state == .running {
      do throws(XverseError) {
        try body()
        return true
      } catch {
        if error.code == .outOfMemory, endDrafts() { continue }
        guard error.code == .outOfMemory, running.count > 1, let last = running.last else {
          finish(answer, .error, error)
          return false
        }
        suspend(last)
      }
    }
    return false
  }

  /// After a pass for which there was no memory.
  private func giveUpMemory(for error: XverseError) {
    guard let last = running.last, !endDrafts() else { return }
    if running.count > 1 { suspend(last) } else { finish(last, .error, error) }
  }
}

extension SchedulerPass.Part {
  /// Whether its one token is the newest of an answer.
  fileprivate var grew: Bool { count == 1 && sequence.length > answer.promptCount }
}
