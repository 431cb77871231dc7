// ScheduleTests.swift -- passes over many answers, stepped by hand: the same answers as alone, shared beginnings, short
// memory, order.

import ModelTestSupport
import TestSupport
import Testing
import XverseConversion
import XverseCore
import XverseTensors

@testable import XverseRuntime

/// Prompts of many lengths with options of many kinds.
private func requests(_ count: Int) -> [(prompt: [Int32], options: GenerationOptions)] {
  (0..<count).map { index in
    let prompt = randomTokens(1 + (index * 37) % 90, seed: UInt64(index))
    return (prompt, index % 2 == 0 ? greedyOptions(5 + index) : seededOptions(UInt64(index), 12))
  }
}

@Suite("Schedule")
struct ScheduleTests {
  @Test("an answer is the same alone and among 15 others, in chunks of any size", arguments: [1, 7, 64, 512])
  func sameAnswers(tokens: Int) throws {
    let host = try loadTiny(runtime: Runtime(threadCount: 2))
    let requests = requests(16)
    let harness = try ScheduleHarness(host) { $0.maximumBatchedTokens = tokens }

    let ids = try requests.map { try harness.submit($0.prompt, $0.options) }
    try harness.runToEnd()

    for (id, request) in zip(ids, requests) {
      #expect(harness.told[id] == (try host.alone(request.prompt, request.options)), "answer \(id)")
    }
    #expect(host.runtime.kvBlocks.blockCount == 0)
  }

  @Test(
    "in every type of cache and of weights", arguments: KVElement.allCases, [TinyCheckpoint.DType.bfloat16, .float16])
  func sameAnswersInEveryType(element: KVElement, dtype: TinyCheckpoint.DType) throws {
    let host = try loadTiny { $0.dtype = dtype }
    let requests = requests(6)
    let harness = try ScheduleHarness(host) { ($0.maximumBatchedTokens, $0.cacheElement) = (48, element) }

    let ids = try requests.map { try harness.submit($0.prompt, $0.options) }
    try harness.runToEnd()

    for (id, request) in zip(ids, requests) {
      #expect(harness.told[id] == (try host.alone(request.prompt, request.options, element: element)))
    }
  }

  @Test("with quantized weights", arguments: [QuantizationScheme.int8, .int4], [7, 48])
  func sameAnswersQuantized(scheme: QuantizationScheme, tokens: Int) throws {
    let host = try loadTiny(scheme, runtime: Runtime(threadCount: 2))
    let requests = requests(16)
    let harness = try ScheduleHarness(host) { $0.maximumBatchedTokens = tokens }

    let ids = try requests.map { try harness.submit($0.prompt, $0.options) }
    try harness.runToEnd()

    for (id, request) in zip(ids, requests) {
      #expect(harness.told[id] == (try host.alone(request.prompt, request.options)), "answer \(id)")
    }
  }

  @Test("guessing changes no answer, and leaves the sequences as they were", arguments: [1, 2, 3])
  func guesses(seed: UInt64) throws {
    let host = try loadTiny(runtime: Runtime(threadCount: 2))
    let harness = try ScheduleHarness(host) { ($0.maximumSequences, $0.maximumBatchedTokens) = (6, 64) }
    harness.schedule.speculation = EagerRecord(seed: seed)
    let requests = (0..<10).map { index in
      // What a tiny model says repeats itself sooner or later, and so do these prompts.
      let words = randomTokens(12, seed: UInt64(index))
      var options = index % 3 == 0 ? seededOptions(UInt64(index), 40) : greedyOptions(60)
      options.speculation.promptLookupTokens = 8
      return (prompt: words + words + words, options: options)
    }

    let ids = try requests.map { try harness.submit($0.prompt, $0.options) }
    try harness.runToEnd()

    for (id, request) in zip(ids, requests) {
      #expect(harness.told[id] == (try host.alone(request.prompt, request.options)), "answer \(id)")
    }
    #expect(harness.schedule.counts.acceptedDraftTokens > 0)
    #expect(harness.schedule.counts.draftTokens > harness.schedule.counts.acceptedDraftTokens)
    #expect(host.runtime.kvBlocks.blockCount == 0)
  }

  @Test("answers join while others grow")
  func joins() throws {
    let host = try loadTiny()
    let harness = try ScheduleHarness(host)
    let first = try harness.submit(randomTokens(20, seed: 1), greedyOptions(40))
    for _ in 0..<10 { try harness.step() }
    #expect(harness.told[first]?.tokens.count == 10)

    let second = try harness.submit(randomTokens(30, seed: 2), greedyOptions(5))
    for _ in 0..<6 { try harness.step() }

    #expect(harness.told[second]?.reason == .length)
    #expect(harness.told[first]?.reason == FinishReason.none)
    try harness.runToEnd()
    #expect(harness.told[first] == (try host.alone(randomTokens(20, seed: 1), greedyOptions(40))))
  }

  @Test("16 answers with a common beginning of 1000 tokens evaluate it once")
  func sharesBeginnings() throws {
    let host = try loadTiny { $0.maximumPositions = 2048 }
    let common = randomTokens(1000, seed: 5)
    let harness = try ScheduleHarness(host)

    let ids = try (0..<16).map {
      try harness.submit(common + randomTokens(20, seed: UInt64(100 + $0)), greedyOptions(6))
    }
    try harness.runToEnd()

    #expect(harness.schedule.counts.promptTokens == 1000 + 16 * 20)
    #expect(harness.schedule.counts.cachedTokens == 15 * 1000)
    for (index, id) in ids.enumerated() {
      let alone = try host.alone(common + randomTokens(20, seed: UInt64(100 + index)), greedyOptions(6))
      #expect(harness.told[id] == alone)
      #expect(harness.told[id]?.statistics.cachedTokens == (index == 0 ? 0 : 1000))
    }
    #expect(host.runtime.kvBlocks.blockCount == 0)
  }

  @Test("a later answer finds what an earlier one evaluated, up to the last token")
  func findsEarlier() throws {
    let host = try loadTiny { $0.maximumPositions = 2048 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let harness = try ScheduleHarness(host, prefixes: prefixes)
    let prompt = randomTokens(1500, seed: 7)
    let first = try harness.submit(prompt, greedyOptions(10))
    try harness.runToEnd()
    let answer = try #require(harness.told[first]?.tokens)
    let evaluated = harness.schedule.counts.promptTokens

    let turn = prompt + answer + randomTokens(12, seed: 8)
    let second = try harness.submit(turn, greedyOptions(10))
    try harness.runToEnd()

    // The last token of the answer was never evaluated.
    #expect(harness.schedule.counts.promptTokens - evaluated == 13)
    #expect(harness.told[second] == (try host.alone(turn, greedyOptions(10))))
  }

  @Test("under a memory limit answers give up their blocks, come again, and are the same", arguments: [3, 5, 8])
  func preempts(blocks: Int) throws {
    let requests = (0..<6).map { (randomTokens(40 + $0, seed: UInt64($0)), seededOptions(UInt64($0), 60)) }
    let expected = try requests.map { try loadTiny().alone($0.0, $0.1) }
    // As much as everything but the blocks takes, and a few of them.
    let measuring = try loadTiny(runtime: Runtime(threadCount: 1))
    let layout = KVLayout(measuring.configuration, .float32)
    let harness = try ScheduleHarness(measuring)
    for request in requests { try harness.submit(request.0, request.1) }
    try harness.runToEnd()
    let all = requests.count * 2 * layout.bytesPerBlock
    let limit = measuring.runtime.allocator.peak - all + blocks * layout.bytesPerBlock

    let allocator = MemoryAllocator(limit: limit)
    let host = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator))
    let prefixes = PrefixCache(limit: 1 << 30, allocator: allocator)
    let limited = try ScheduleHarness(host, prefixes: prefixes)
    let ids = try requests.map { try limited.submit($0.0, $0.1) }
    try limited.runToEnd()

    #expect(limited.schedule.counts.preemptions > 0)
    for (id, answer) in zip(ids, expected) { #expect(limited.told[id] == answer, "answer \(id)") }
    #expect(allocator.peak <= limit)
  }

  @Test("an answer that does not fit alone fails, the others do not")
  func failsWhatNeverFits() throws {
    let layout = KVLayout(try loadTiny().configuration, .float32)
    let idle = try loadTiny(runtime: Runtime(threadCount: 1))
    let harness = try ScheduleHarness(idle)
    try harness.submit(randomTokens(20, seed: 1), greedyOptions(5))
    try harness.runToEnd()
    let limit = idle.runtime.allocator.peak + layout.bytesPerBlock

    let host = try loadTiny(runtime: Runtime(threadCount: 1, allocator: MemoryAllocator(limit: limit)))
    let limited = try ScheduleHarness(host)
    let large = try limited.submit(randomTokens(250, seed: 2), greedyOptions(5))
    let small = try limited.submit(randomTokens(20, seed: 1), greedyOptions(5))
    try limited.runToEnd()

    #expect(limited.told[large]?.code == .outOfMemory)
    #expect(limited.told[large]?.reason == .error)
    #expect(limited.told[small]?.reason == .length)
  }

  @Test("a lower priority number goes first, but overtakes an answer only so often")
  func ordersByPriority() throws {
    let host = try loadTiny()
    let harness = try ScheduleHarness(host) { $0.maximumSequences = 1 }
    let patient = try harness.submit([5, 6], greedyOptions(1) { $0.priority = 10 })
    let urgent = try (0..<40).map { _ in try harness.submit([5, 7], greedyOptions(1)) }
    var order: [UInt64] = []
    while !harness.schedule.isEmpty {
      try harness.step()
      for id in [patient] + urgent where harness.told[id]?.reason == .length && !order.contains(id) { order.append(id) }
    }

    #expect(order.firstIndex(of: patient) == Schedule.mostOvertaken)
    #expect(order.filter { $0 != patient } == urgent)
  }

  @Test("64 requests through a queue of 16: the longest wait is at most twice the mean")
  func starvesNobody() throws {
    let host = try loadTiny()
    let harness = try ScheduleHarness(host)
    var random = SeededRandom(seed: 3)
    var submitted: [UInt64: Int] = [:]
    var waits: [Int] = []
    var step = 0
    while submitted.count < 64 || !harness.schedule.isEmpty {
      while submitted.count < 64, harness.schedule.waiting.count < 16 {
        let prompt = randomTokens(Int.random(in: 5...60, using: &random), using: &random)
        submitted[try harness.submit(prompt, greedyOptions(Int.random(in: 20...40, using: &random)))] = step
      }
      let before = Set(harness.told.keys)
      try harness.step()
      step += 1
      for id in Set(harness.told.keys).subtracting(before) { waits.append(step - (submitted[id] ?? 0)) }
    }

    #expect(waits.count == 64)
    let mean = Double(waits.reduce(0, +)) / 64
    #expect(Double(waits.max() ?? 0) <= 2 * mean, "mean \(mean), longest \(waits.max() ?? 0)")
  }

  @Test("a cancelled answer ends with what it has, and an expired one says so")
  func interrupts() throws {
    let host = try loadTiny()
    let harness = try ScheduleHarness(host) { $0.maximumSequences = 2 }
    let kept = try harness.submit([5, 6, 7], greedyOptions(30))
    let cancelled = try harness.submit([8, 9], greedyOptions(30))
    let waiting = try harness.submit([8, 9, 10], greedyOptions(30))
    let expired = try harness.submit([4, 4], greedyOptions(30) { $0.deadline = 1 })
    for _ in 0..<5 { try harness.step() }
    harness.cancel(cancelled)
    harness.cancel(waiting)
    try harness.runToEnd()

    #expect(harness.told[cancelled]?.reason == .cancelled && harness.told[cancelled]?.tokens.count == 5)
    #expect(harness.told[cancelled]?.code == .cancelled)
    #expect(harness.told[waiting]?.reason == .cancelled && harness.told[waiting]?.tokens.isEmpty == true)
    #expect(harness.told[expired]?.reason == .deadline && harness.told[expired]?.code == nil)
    #expect(harness.told[kept] == (try host.alone([5, 6, 7], greedyOptions(30))))
  }

  @Test("a cancelled pass changes nothing")
  func cancelsPass() throws {
    let host = try loadTiny()
    let harness = try ScheduleHarness(host)
    let id = try harness.submit(randomTokens(50, seed: 3), greedyOptions(9))
    let cancellation = Cancellation()
    cancellation.trigger()

    for _ in 0..<3 { try harness.step(cancellation) }
    #expect(harness.told[id] == nil)

    try harness.runToEnd()
    #expect(harness.told[id] == (try host.alone(randomTokens(50, seed: 3), greedyOptions(9))))
  }

  @Test("with dynamic RoPE scaling beyond the model's positions, preempted or not")
  func dynamicScaling() throws {
    let host = try loadTiny {
      $0.maximumPositions = 64
      $0.extraConfiguration = ["rope_scaling": ["type": "dynamic", "factor": 2.0]]
    }
    let harness = try ScheduleHarness(host) { ($0.context, $0.maximumBatchedTokens) = (200, 32) }
    let prompts = (0..<3).map { randomTokens(90, seed: UInt64($0)) }

    let ids = try prompts.map { try harness.submit($0, greedyOptions(30)) }
    try harness.runToEnd()

    for (id, prompt) in zip(ids, prompts) {
      #expect(harness.told[id] == (try host.alone(prompt, greedyOptions(30), context: 200)))
    }
  }

  @Test("an answer ends where the context does")
  func endsWithContext() throws {
    let host = try loadTiny()
    let harness = try ScheduleHarness(host) { $0.context = 30 }
    let id = try harness.submit(randomTokens(25, seed: 1), greedyOptions())
    let full = try harness.submit(randomTokens(30, seed: 1), greedyOptions())
    try harness.runToEnd()

    #expect(harness.told[id] == (try host.alone(randomTokens(25, seed: 1), greedyOptions(), context: 30)))
    #expect(harness.told[full] == (try host.alone(randomTokens(30, seed: 1), greedyOptions(), context: 30)))
  }
}
