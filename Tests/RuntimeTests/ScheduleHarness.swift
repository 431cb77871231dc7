// ScheduleHarness.swift -- a schedule that a test steps by hand, with what its listeners were told.

import ModelTestSupport
import TestSupport
import XverseCore
import XverseModels
import XverseTensors

@testable import XverseRuntime

/// A schedule without a thread; what it tells is collected after each step.
final class ScheduleHarness {
  struct Told: Equatable {
    var tokens: [Int32] = []
    var text: [UInt8] = []
    var logprobs: [Float] = []
    var reason = FinishReason.none
    var code: XverseError.Code?
    var statistics = SessionStatistics()
    var message = ""

    static func == (one: Told, other: Told) -> Bool {
      one.tokens == other.tokens && one.text == other.text && one.reason == other.reason
        && one.logprobs.map(\.bitPattern) == other.logprobs.map(\.bitPattern) && one.code == other.code
    }
  }

  let host: TinyHost
  let schedule: Schedule
  let events: AnswerEvents
  private(set) var told: [UInt64: Told] = [:]
  private(set) var answers: [UInt64: ScheduledAnswer] = [:]
  private var nextID: UInt64 = 1

  init(
    _ host: TinyHost, prefixes: PrefixCache? = nil, _ change: (inout SchedulerSettings) -> Void = { _ in }
  ) throws {
    var settings = SchedulerSettings()
    change(&settings)
    self.host = host
    events = try AnswerEvents()
    schedule = try Schedule(host.loaded, host.runtime, settings, prefixes: prefixes, events: events)
  }

  @discardableResult
  func submit(_ prompt: [Int32], _ options: GenerationOptions) throws -> UInt64 {
    let id = nextID
    nextID += 1
    let answer = try prompt.withUnsafeBufferPointer {
      try ScheduledAnswer(
        id: id, prompt: $0, options.usable(), continuesText: true, allocator: host.runtime.allocator)
    }
    answers[id] = answer
    schedule.add(answer)
    return id
  }

  func cancel(_ id: UInt64) { answers[id]?.cancel() }

  /// One pass, after which everything must be in order.
  func step(_ cancellation: Cancellation = Cancellation()) throws {
    schedule.step(cancellation)
    try schedule.checkInvariants()
    for answer in schedule.takeFinished() { answer.tellEnd(events) }
    try listen()
  }

  func runToEnd() throws {
    while !schedule.isEmpty { try step() }
  }

  func listen() throws {
    while let event = try events.next() {
      var answer = told[event.id] ?? Told()
      answer.tokens += Array(event.tokens.elements)
      answer.text += event.text.elements.prefix(event.textLength)
      answer.logprobs += Array(event.logprobs.elements)
      if let end = event.end {
        (answer.reason, answer.code, answer.statistics) = (end.reason, end.error?.code, end.statistics)
        answer.message = end.error?.message ?? ""
        answers[event.id] = nil
      }
      told[event.id] = answer
    }
  }
}

extension TinyHost {
  /// What a session of its own answers.
  func alone(
    _ prompt: [Int32], _ options: GenerationOptions, element: KVElement = .float32, context: Int? = nil
  ) throws -> ScheduleHarness.Told {
    let result = try Session(self, context: context, cacheElement: element).generate(prompt, options)
    return ScheduleHarness.Told(
      tokens: result.tokenArray, text: result.textBytes, logprobs: Array(result.logprobs.elements),
      reason: result.statistics.finishReason, code: nil, statistics: result.statistics)
  }
}

/// Options that draw with a seed.
func seededOptions(_ seed: UInt64, _ count: Int) -> GenerationOptions {
  greedyOptions(count) {
    $0.sampling.doSample = true
    $0.sampling.temperature = 0.9
    $0.sampling.topK = 20
    $0.sampling.repetitionPenalty = 1.1
    $0.sampling.seed = seed
    $0.wantsLogprobs = true
  }
}
