// DraftScheduleTests.swift -- schedules whose answers are guessed by a draft model: the same answers as alone, the memory of the
// draft goes first.

import ModelTestSupport
import TestSupport
import Testing
import XverseConversion
import XverseCore
import XverseTensors

@testable import XverseRuntime

/// Prompts that begin alike, longer than one pass takes, and some of two tokens.
private func requests(_ count: Int) -> [(prompt: [Int32], options: GenerationOptions)] {
  (0..<count).map { index in
    let common = index % 3 == 0 ? randomTokens(90, seed: 5) : []
    let prompt = common + randomTokens(2 + index * 7, seed: UInt64(index))
    return (prompt, index % 2 == 0 ? greedyOptions(20 + index) : seededOptions(UInt64(index), 20))
  }
}

@Suite("Schedule with a draft model")
struct DraftScheduleTests {
  @Test(
    "answers are those of sessions, whether or not it guesses well",
    arguments: [1, 2] as [UInt64], [nil, .int8, .int4] as [QuantizationScheme?])
  func sameAnswers(draftSeed: UInt64, scheme: QuantizationScheme?) throws {
    let host = try loadTiny(scheme, runtime: Runtime(threadCount: 2))
    let draft = try loadTiny(.int4, runtime: host.runtime) { $0.seed = draftSeed }
    let requests = requests(10)
    let harness = try ScheduleHarness(host) { ($0.maximumSequences, $0.maximumBatchedTokens) = (6, 64) }
    harness.schedule.speculation = EagerRecord(seed: draftSeed)
    harness.schedule.setDraft(try DraftModel(draft.loaded, for: host.loaded, host.runtime, cacheElement: .float16))

    let ids = try requests.map { try harness.submit($0.prompt, $0.options) }
    try harness.runToEnd()

    for (id, request) in zip(ids, requests) {
      let told = try #require(harness.told[id])
      #expect(told == (try host.alone(request.prompt, request.options)), "answer \(id)")
      #expect(told.statistics.draftTokens > 0, "answer \(id)")
    }
    #expect(host.runtime.kvBlocks.blockCount == 0)
  }

  @Test("the model itself is right each time, and its guesses save passes")
  func draftOfItself() throws {
    let host = try loadTiny()
    let harness = try ScheduleHarness(host)
    harness.schedule.speculation = EagerRecord()
    harness.schedule.setDraft(try DraftModel(host.loaded, for: host.loaded, host.runtime))
    let options = greedyOptions(61) { $0.ignoresEOS = true }

    for seed in UInt64(1)...3 { try harness.submit(randomTokens(30, seed: seed), options) }
    try harness.runToEnd()

    let counts = harness.schedule.counts
    #expect(counts.draftTokens == counts.acceptedDraftTokens)
    #expect(counts.draftTokens >= 3 * 55)
    // The prompts, then 20 guesses and a token more each time.
    #expect(counts.passes <= 6)
  }

  @Test("what requests have in common is read once by the draft too")
  func sharesBeginnings() throws {
    let host = try loadTiny()
    let draft = try loadTiny(runtime: host.runtime) { $0.seed = 9 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let harness = try ScheduleHarness(host)
    harness.schedule.speculation = EagerRecord()
    harness.schedule.setDraft(try DraftModel(draft.loaded, for: host.loaded, host.runtime, prefixes: prefixes))
    let common = randomTokens(130, seed: 1)

    try harness.submit(common + [7, 8], greedyOptions(20))
    try harness.runToEnd()
    let before = prefixes.statistics.foundTokens
    try harness.submit(common + [9, 10], greedyOptions(20))
    try harness.runToEnd()

    #expect(prefixes.statistics.foundTokens - before >= 128)
  }

  @Test("when memory is short, the draft's caches go before an answer has to wait")
  func givesUpDraftsFirst() throws {
    let requests = (0..<2).map { (randomTokens(20, seed: UInt64($0)), greedyOptions(230) { $0.ignoresEOS = true }) }
    /// What became of the answers, and the peak of the memory.
    func run(withDraft: Bool, limit: Int) throws -> (harness: ScheduleHarness, peak: Int) {
      let allocator = MemoryAllocator(limit: limit)
      let host = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator))
      let harness = try ScheduleHarness(host) { ($0.maximumSequences, $0.maximumBatchedTokens) = (2, 48) }
      harness.schedule.speculation = EagerRecord()
      if withDraft { harness.schedule.setDraft(try DraftModel(host.loaded, for: host.loaded, host.runtime)) }
      for (prompt, options) in requests { try harness.submit(prompt, options) }
      try harness.runToEnd()
      #expect(host.runtime.kvBlocks.blockCount == 0)
      return (harness, allocator.peak)
    }
    let plain = try run(withDraft: false, limit: 1 << 30)
    let full = try run(withDraft: true, limit: 1 << 30)
    let block = KVLayout(plain.harness.host.configuration, .float32).bytesPerBlock
    let limit = full.peak - 3 * block
    #expect(plain.peak < limit)

    let short = try run(withDraft: true, limit: limit).harness

    #expect(short.schedule.counts.preemptions == 0)
    #expect(short.schedule.counts.draftTokens > 0)
    #expect(short.schedule.counts.draftTokens < full.harness.schedule.counts.draftTokens)
    for id in UInt64(1)...2 { #expect(short.told[id] == plain.harness.told[id]) }
  }

  @Test("one that is set, replaced or taken away in the middle changes no answer")
  func replaces() throws {
    let host = try loadTiny()
    let other = try loadTiny(runtime: host.runtime) { $0.seed = 4 }
    let harness = try ScheduleHarness(host) { $0.maximumSequences = 3 }
    harness.schedule.speculation = EagerRecord(seed: 3)
    let requests = requests(9)
    let ids = try requests.map { try harness.submit($0.prompt, $0.options) }

    for model in [host, other, nil, other, host] as [TinyHost?] {
      for _ in 0..<7 { try harness.step() }
      harness.schedule.setDraft(try model.map { try DraftModel($0.loaded, for: host.loaded, host.runtime) })
    }
    try harness.runToEnd()

    for (id, request) in zip(ids, requests) {
      #expect(harness.told[id] == (try host.alone(request.prompt, request.options)), "answer \(id)")
    }
  }

  @Test("a draft with a shorter context guesses up to its end")
  func shortContext() throws {
    let host = try loadTiny()
    let harness = try ScheduleHarness(host)
    harness.schedule.speculation = EagerRecord()
    harness.schedule.setDraft(try DraftModel(host.loaded, for: host.loaded, host.runtime, context: 40))
    let options = greedyOptions(60) { $0.ignoresEOS = true }

    let id = try harness.submit(randomTokens(20, seed: 1), options)
    try harness.runToEnd()

    #expect(harness.told[id] == (try host.alone(randomTokens(20, seed: 1), options)))
    #expect(1...20 ~= harness.schedule.counts.draftTokens)
  }
}
