// Scheduler.swift -- many answers from one model at a time (continuous batching): the thread that steps a schedule, and
// what other threads may do meanwhile.

import Glibc
import Synchronization
import XverseCore
import XverseLoading

/// Takes requests, answers them together, and hands out events.
///
/// Threads: any thread may call any member at any time.
package final class Scheduler: @unchecked Sendable {
  /// What a scheduler has to do and has done.
  package struct Statistics: Sendable {
    package var running = 0
    package var waiting = 0
    /// Ends that nobody has read.
    package var unread = 0
    package var finished = 0
    package var preemptions = 0
    package var passes = 0
    /// Tokens of prompts that were evaluated, once more after each preemption.
    package var promptTokens = 0
    /// Tokens of prompts that need not be evaluated.
    package var cachedTokens = 0
    package var generatedTokens = 0
    /// Of answers that have ended: tokens guessed and evaluated, and those of them that were then chosen.
    package var draftTokens = 0
    package var acceptedDraftTokens = 0
    /// Nanoseconds from submission to the first token: the sum over the answers that have ended with a token, and the most.
    package var firstTokenTime: Int64 = 0
    package var longestFirstTokenTime: Int64 = 0
    package var firstTokens = 0
    /// Nanoseconds in which answers were worked at.
    package var busyTime: Int64 = 0
  }

  package let model: LoadedModel
  package let runtime: Runtime
  private let settings: SchedulerSettings
  private let prefixes: PrefixCache?
  private let events: AnswerEvents
  private let desk: SchedulerDesk
  private let thread: pthread_t
  private let isClosed = Atomic<Bool>(false)

  /// - Parameter prefixes: Of this model and runtime; nil: blocks are shared between the answers that run, no others.
  /// - Throws: `misuse` when the model has no weights; `outOfMemory`, `io`.
  package init(
    _ model: LoadedModel, _ runtime: Runtime, _ settings: SchedulerSettings = SchedulerSettings(),
    prefixes: PrefixCache? = nil
  ) throws(XverseError) {
    events = try AnswerEvents()
    let schedule = try Schedule(model, runtime, settings, prefixes: prefixes, events: events)
    let desk = SchedulerDesk(schedule, events)
    self.desk = desk
    self.model = model
    self.runtime = runtime
    self.settings = settings
    self.prefixes = prefixes
    let (started, code) = OwnThread.start { desk.work() }
    guard let thread = started else {
      throw XverseError(.outOfMemory, "cannot start the scheduler's thread: \(String(cString: strerror(code)))")
    }
    self.thread = thread
  }

  deinit { close() }

  /// Ends all answers without telling, and waits for the thread; threads that wait for an event get an error.
  package func close() {
    desk.stop()
    events.close()
    guard isClosed.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else { return }
    pthread_join(thread, nil)
  }

  /// Most tokens of a prompt with its answer.
  package var context: Int { settings.context ?? model.configuration.maximumPositions }

  /// Readable while there are events.
  package var descriptor: Int32 { events.descriptor }

  /// Takes a prompt, for as many answers as its options say.
  ///
  /// - Returns: The first answer's number; those of the others follow. An answer after the first has the seed of the first
  ///   and 1 more each, when there is one.
  /// - Throws: `invalid`, `range`, `contextFull`, `corrupt`, `queueFull`, `outOfMemory`: nothing was taken.
  package func submit(
    _ prompt: UnsafeBufferPointer<Int32>, _ options: GenerationOptions, continuesText: Bool = true
  ) throws(XverseError) -> UInt64 {
    guard !prompt.isEmpty else { throw .invalid("the prompt has no tokens, expected at least one") }
    guard prompt.count <= context else {
      throw XverseError(.contextFull, "the prompt has \(prompt.count) tokens, the scheduler's context is \(context)")
    }
    let vocabularySize = model.configuration.vocabularySize
    for (index, token) in prompt.enumerated() where token < 0 || Int(token) >= vocabularySize {
      throw .range("tokens[\(index)] is \(token), expected 0 to \(vocabularySize - 1)")
    }
    var options = try options.usable()
    try options.sampling.validate(vocabularySize: vocabularySize)
    let most = settings.maximumSequences + settings.maximumQueued
    guard events.open(options.count, most: most) else { throw queueFull(options.count, most) }
    var answers: [ScheduledAnswer] = []
    let first: UInt64
    do throws(XverseError) {
      first = try desk.numbers(options.count)
      for index in 0..<options.count {
        if index > 0, let seed = options.sampling.seed { options.sampling.seed = seed &+ 1 }
        answers.append(
          try ScheduledAnswer(
            id: first + UInt64(index), prompt: prompt, options, continuesText: continuesText,
            allocator: runtime.allocator))
      }
    } catch {
      events.giveBack(options.count)
      throw error
    }
    desk.add(answers)
    return first
  }

  private func queueFull(_ count: Int, _ most: Int) -> XverseError {
    let statistics = self.statistics
    return XverseError(
      .queueFull,
      "the scheduler has \(statistics.running) running, \(statistics.waiting) waiting and \(statistics.unread) unread answers; "
        + "\(count) more would be over max_num_seqs + max_queued_requests = \(most)")
  }

  /// Sets the model that guesses for the answers that begin to run from now on, in place of the one before; nil for none.
  ///
  /// - Parameter draft: Of this scheduler's runtime, and used by nobody else.
  /// - Throws: `outOfMemory`; the one set before stays.
  package func setDraft(_ draft: DraftModel?) throws(XverseError) {
    try draft?.reserveScratch(texts: settings.maximumSequences)
    desk.setDraft(draft)
  }

  /// Ends an answer as soon as possible; its end is told as ever. One that has ended stays as it is.
  ///
  /// - Throws: `invalid` for a number that no answer has had.
  package func cancel(_ id: UInt64) throws(XverseError) { try desk.cancel(id) }

  /// Waits for an event.
  ///
  /// - Parameter deadline: On the monotonic clock, in nanoseconds; `Int64.max`: as long as it takes.
  /// - Returns: Whether there was one: another thread may have taken it.
  /// - Throws: `misuse` when the scheduler is closed meanwhile; `cancelled` when the process ends.
  package func waitForEvent(until deadline: Int64 = .max) throws(XverseError) -> Bool {
    try events.wait(until: deadline)
  }

  /// The next event, nil when there is none; an event is handed out once, those of one answer in their order.
  ///
  /// - Throws: `outOfMemory`, and the event stays.
  package func takeEvent() throws(XverseError) -> SchedulerEvent? { try events.next() }

  package var statistics: Statistics {
    var statistics = desk.statistics
    statistics.unread = events.unreadEnds
    return statistics
  }

  /// The statistics as a JSON object.
  package var statisticsJSON: String {
    let statistics = self.statistics
    var json = JSONWriter()
    json.beginObject()
    json.write(statistics.running, "running")
    json.write(statistics.waiting, "waiting")
    json.write(statistics.unread, "unread")
    json.write(statistics.finished, "finished")
    json.write(statistics.preemptions, "preemptions")
    json.write(statistics.passes, "passes")
    json.write(statistics.promptTokens, "prompt_tokens")
    json.write(statistics.cachedTokens, "cached_tokens")
    json.write(statistics.generatedTokens, "generated_tokens")
    json.write(statistics.draftTokens, "draft_tokens")
    json.write(statistics.acceptedDraftTokens, "accepted_draft_tokens")
    let seconds = Double(statistics.busyTime) / 1e9
    json.write(seconds, "busy_seconds")
    let tokens = Double(statistics.promptTokens + statistics.generatedTokens)
    json.write(seconds > 0 ? tokens / seconds : 0, "tokens_per_second")
    let mean = statistics.firstTokens > 0 ? Double(statistics.firstTokenTime) / Double(statistics.firstTokens) : 0
    json.write(mean / 1e6, "first_token_ms_mean")
    json.write(Double(statistics.longestFirstTokenTime) / 1e6, "first_token_ms_max")
    json.write(runtime.kvBlocks.blockCount, "kv_blocks")
    json.write(runtime.kvBlocks.byteCount, "kv_bytes")
    let prefixes = prefixes?.statistics ?? PrefixCache.Statistics()
    json.write(prefixes.blocks, "prefix_blocks")
    json.write(prefixes.bytes, "prefix_bytes")
    let lookedUp = Double(prefixes.lookedUpTokens)
    json.write(lookedUp > 0 ? Double(prefixes.foundTokens) / lookedUp : 0, "prefix_hit_rate")
    json.endObject()
    return json.text
  }
}
