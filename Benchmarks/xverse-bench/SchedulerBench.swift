// SchedulerBench.swift -- many answers at a time: how fast they grow together, how long all of them take, and how much a
// long prompt that joins holds them up.

import XverseCore
import XverseLoading
import XverseRuntime
import XverseTensors

/// Measures a scheduler. Random weights decide what is answered, so answers do not end by themselves.
struct SchedulerBench {
  static let answers = 16
  static let promptLength = 100
  static let answerLength = 200
  static let joiningPrompt = 1500

  let model: LoadedModel
  let runtime: Runtime
  let cacheElement: KVElement

  /// Of 16 answers: seconds from the first submission to the last end, and from when all of them grow to when the first
  /// ends, with the tokens of that time.
  struct Run {
    var total = 0.0
    var growing = 0.0
    var grownTokens = 0
  }

  func run() throws(XverseError) -> Run {
    let scheduler = try makeScheduler()
    var (started, ended) = (Set<UInt64>(), 0)
    var (count, countAtStart, grownTokens) = (0, 0, 0)
    let begin = MonotonicClock.now
    var (allStarted, firstEnd) = (begin, Int64(0))
    for index in 0..<Self.answers { try submit(Self.promptLength, Self.answerLength, seed: index, to: scheduler) }
    while ended < Self.answers {
      guard try scheduler.waitForEvent(), let event = try scheduler.takeEvent() else { continue }
      count += event.tokens.count
      if started.insert(event.id).inserted, started.count == Self.answers {
        (allStarted, countAtStart) = (MonotonicClock.now, count)
      }
      guard event.end != nil else { continue }
      ended += 1
      if ended == 1 { (firstEnd, grownTokens) = (MonotonicClock.now, count - countAtStart) }
    }
    return Run(
      total: 1e-9 * Double(MonotonicClock.now - begin), growing: 1e-9 * Double(firstEnd - allStarted),
      grownTokens: grownTokens)
  }

  /// Seconds of the same answers from a session, one after the other.
  func runOneByOne() throws(XverseError) -> Double {
    let begin = MonotonicClock.now
    for index in 0..<Self.answers {
      let session = try Session(model, runtime, cacheElement: cacheElement)
      let prompt = prompt(Self.promptLength, seed: index)
      let options = options(Self.answerLength)
      _ = try prompt.withUnsafeBufferPointer { (prompt) throws(XverseError) in try session.generate(prompt, options) }
    }
    return 1e-9 * Double(MonotonicClock.now - begin)
  }

  /// The largest gap between two tokens of an answer while a long prompt joins, in usual gaps.
  func stretch(beside others: Int) throws(XverseError) -> Double {
    let scheduler = try makeScheduler()
    for index in 0..<others { try submit(Self.promptLength, Self.answerLength * 2, seed: index, to: scheduler) }
    var usual: [Int64] = []
    var longest: Int64 = 0
    var last: [UInt64: Int64] = [:]
    var joining: UInt64?
    while true {
      guard try scheduler.waitForEvent(), let event = try scheduler.takeEvent() else { continue }
      let now = MonotonicClock.now
      if event.id == joining { break }
      if event.end != nil { continue }
      if let before = last[event.id] {
        if joining == nil { usual.append(now - before) } else { longest = max(longest, now - before) }
      }
      last[event.id] = now
      // When every answer has grown for a while.
      if joining == nil, usual.count >= 40 * others {
        usual.removeFirst(usual.count / 2)
        joining = try submit(Self.joiningPrompt, 1, seed: others, to: scheduler)
      }
    }
    usual.sort()
    return Double(longest) / Double(usual[usual.count / 2])
  }

  private func makeScheduler() throws(XverseError) -> Scheduler {
    var settings = SchedulerSettings()
    settings.maximumSequences = Self.answers
    settings.cacheElement = cacheElement
    return try Scheduler(model, runtime, settings)
  }

  @discardableResult
  private func submit(
    _ promptLength: Int, _ answerLength: Int, seed: Int, to scheduler: Scheduler
  ) throws(XverseError) -> UInt64 {
    let prompt = prompt(promptLength, seed: seed)
    let options = options(answerLength)
    return try prompt.withUnsafeBufferPointer { (prompt) throws(XverseError) in try scheduler.submit(prompt, options) }
  }

  private func options(_ length: Int) -> GenerationOptions {
    var options = GenerationOptions()
    options.maximumNewTokens = length
    options.ignoresEOS = true
    return options
  }

  /// Ids that no other seed's prompt begins with.
  private func prompt(_ count: Int, seed: Int) -> [Int32] {
    (0..<count).map { Int32((($0 + 1) * 7919 + seed * 131 + 13) % model.configuration.vocabularySize) }
  }
}
