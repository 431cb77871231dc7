// ScheduleRandomTests.swift -- random schedules: submit, cancel, draft models that come and go, sessions that evaluate, fork,
// are saved, restored and forget beside them, short memory, allocations that fail. After every step everything is in order;
// at the end nothing is lost or left.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseRuntime

/// Prompts that have beginnings in common.
private func prompt(_ random: inout SeededRandom) -> [Int32] {
  let family = randomTokens(130, seed: UInt64.random(in: 0..<3, using: &random))
  let common = Int.random(in: 0...130, using: &random)
  let own = Int.random(in: 1...40, using: &random)
  return Array(family.prefix(common)) + randomTokens(own, using: &random)
}

/// One random run over a harness and a few sessions.
private final class RandomRun {
  private let host: TinyHost
  private let prefixes: PrefixCache
  private let harness: ScheduleHarness
  private var random: SeededRandom
  private var requests: [UInt64: (prompt: [Int32], options: GenerationOptions)] = [:]
  private var cancelled: Set<UInt64> = []
  private var sessions: [Session] = []
  private let directory: TemporaryDirectory
  /// The tokens of the session in the file; nil: there is none.
  private var saved: [Int32]?
  private(set) var steps = 0
  var preemptions: Int { harness.schedule.counts.preemptions }

  private let mostSessions: Int

  init(_ host: TinyHost, seed: UInt64, prefixLimit: Int, mostSessions: Int = 3) throws {
    self.host = host
    self.mostSessions = mostSessions
    random = SeededRandom(seed: seed)
    directory = try TemporaryDirectory()
    prefixes = PrefixCache(limit: prefixLimit, allocator: host.runtime.allocator)
    harness = try ScheduleHarness(host, prefixes: prefixes) {
      ($0.maximumSequences, $0.maximumBatchedTokens) = (5, 48)
    }
    harness.schedule.speculation = EagerRecord(seed: seed)
  }

  func run(steps count: Int) throws {
    while steps < count {
      steps += 1
      switch Int.random(in: 0..<24, using: &random) {
      case 0..<2 where harness.schedule.waiting.count < 6: try submit()
      case 2: cancel()
      case 3 where sessions.count < mostSessions: try attempt { sessions.append(try makeSession()) }
      case 4: try attempt { try evaluate() }
      case 5: try attempt { try fork() }
      case 6: forget()
      case 7: try attempt { try save() }
      case 8: try attempt { try restore() }
      case 9: try attempt { try setDraft() }
      default: try harness.step()
      }
      try prefixes.checkInvariants()
    }
    sessions = []
    try harness.runToEnd()
  }

  /// Every request has ended, as alone unless it was cancelled or there was no memory for it.
  func checkAnswers(allowingShortage: Bool) throws {
    #expect(Set(harness.told.keys) == Set(requests.keys))
    let reference = try loadTiny()
    var whole = 0
    for (id, request) in requests {
      let told = try #require(harness.told[id])
      let expected = try reference.alone(request.prompt, request.options)
      switch told.reason {
      case .cancelled: #expect(cancelled.contains(id) && expected.tokens.starts(with: told.tokens))
      case .error:
        #expect(allowingShortage && told.code == .outOfMemory, "answer \(id): \(told.message)")
        #expect(expected.tokens.starts(with: told.tokens))
      default:
        #expect(told == expected, "answer \(id)")
        whole += 1
      }
    }
    #expect(whole > 3)
    if !allowingShortage { #expect(whole >= requests.count - cancelled.count) }
  }

  private func submit() throws {
    let options =
      Bool.random(using: &random)
      ? greedyOptions(Int.random(in: 0...30, using: &random))
      : seededOptions(random.next() >> 12, Int.random(in: 1...30, using: &random))
    var changed = options
    changed.priority = Int.random(in: 0...2, using: &random)
    let prompt = prompt(&random)
    try attempt { requests[try harness.submit(prompt, changed)] = (prompt, changed) }
  }

  private func cancel() {
    guard let id = harness.answers.keys.sorted().randomElement(using: &random) else { return }
    cancelled.insert(id)
    harness.cancel(id)
  }

  private func makeSession() throws -> Session {
    try Session(host.loaded, host.runtime, prefixes: prefixes)
  }

  private func evaluate() throws {
    guard let session = sessions.randomElement(using: &random), session.length < 100 else { return }
    try session.evaluate(prompt(&random))
  }

  private func fork() throws {
    guard let session = sessions.randomElement(using: &random), sessions.count <= mostSessions else { return }
    sessions.append(try session.fork())
  }

  private func save() throws {
    guard let session = sessions.randomElement(using: &random) else { return }
    try session.save(to: directory.path + "/session")
    saved = session.heldTokens
  }

  private func restore() throws {
    guard let session = sessions.randomElement(using: &random), let saved else { return }
    let before = session.heldTokens
    do { try session.restore(from: directory.path + "/session") } catch {
      #expect(session.heldTokens == before)
      throw error
    }
    #expect(session.heldTokens == saved)
  }

  /// Itself, which is right each time, or none.
  private func setDraft() throws {
    guard Bool.random(using: &random) else { return harness.schedule.setDraft(nil) }
    let draft = try DraftModel(host.loaded, for: host.loaded, host.runtime, prefixes: prefixes)
    try draft.reserveScratch(texts: 5)
    harness.schedule.setDraft(draft)
  }

  private func forget() {
    guard let index = sessions.indices.randomElement(using: &random) else { return }
    if Bool.random(using: &random) {
      sessions[index].truncate(to: Int.random(in: 0...sessions[index].length, using: &random))
    } else {
      sessions.remove(at: index)
    }
  }

  /// Does without what there is no memory for.
  private func attempt(_ body: () throws -> Void) throws {
    do { try body() } catch let error as XverseError where error.code == .outOfMemory {}
  }
}

@Suite("Random schedules")
struct ScheduleRandomTests {
  /// With all of them, 15,000 steps.
  static let seeds: [UInt64] = [1, 2, 3, 4, 5]

  @Test("with plenty of memory", arguments: seeds)
  func plenty(seed: UInt64) throws {
    let host = try loadTiny(runtime: Runtime(threadCount: 2, threading: .pthread))
    let layout = KVLayout(host.configuration, .float32)
    do {
      let run = try RandomRun(host, seed: seed, prefixLimit: 10 * layout.bytesPerBlock)
      try run.run(steps: 1000)
      try run.checkAnswers(allowingShortage: false)
    }
    #expect(host.runtime.kvBlocks.blockCount == 0)
  }

  @Test("with little memory; where sessions have none of it, no answer fails", arguments: [0, 3])
  func little(mostSessions: Int) throws {
    // Models have memory of their own outside the runtime's allocator, which holds blocks, samplers and work memory.
    let measuring = try loadTiny(runtime: Runtime(threadCount: 1))
    let harness = try ScheduleHarness(measuring) { ($0.maximumSequences, $0.maximumBatchedTokens) = (5, 48) }
    try DraftModel(measuring.loaded, for: measuring.loaded, measuring.runtime).reserveScratch(texts: 5)
    let base = measuring.runtime.allocator.peak
    withExtendedLifetime(harness) {}
    let layout = KVLayout(measuring.configuration, .float32)
    var preemptions = 0
    for seed in Self.seeds {
      let allocator = MemoryAllocator(limit: base + (mostSessions > 0 ? 9 : 7) * layout.bytesPerBlock)
      let host = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator))
      do {
        let run = try RandomRun(host, seed: seed, prefixLimit: 1 << 30, mostSessions: mostSessions)
        try run.run(steps: 1000)
        try run.checkAnswers(allowingShortage: mostSessions > 0)
        preemptions += run.preemptions
      }
      #expect(host.runtime.kvBlocks.blockCount == 0)
    }
    #expect(preemptions > 50)
  }

  @Test("with allocations that fail", arguments: 0..<60)
  func failing(number: Int) throws {
    let host = CountingHost()
    let functions = MemoryAllocator.Functions(
      allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
    try withExtendedLifetime(host) {
      let allocator = MemoryAllocator(functions: functions)
      let tiny = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator))
      do {
        let run = try RandomRun(tiny, seed: 78, prefixLimit: 1 << 30)
        host.fail(request: host.requestCount + number * 5)
        try run.run(steps: 150)
        try run.checkAnswers(allowingShortage: true)
      }
      #expect(tiny.runtime.kvBlocks.blockCount == 0)
    }
  }
}
