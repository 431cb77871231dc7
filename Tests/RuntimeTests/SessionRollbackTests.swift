// SessionRollbackTests.swift -- what a session holds after something went wrong, and what memory it takes.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseRuntime

@Suite("Session rollback")
struct SessionRollbackTests {
  private func model(_ allocator: MemoryAllocator = MemoryAllocator()) throws -> LoadedModel {
    try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator)) { $0.maximumPositions = 4096 }
  }

  @Test("a flag that is up before the first chunk changes nothing")
  func cancelsBefore() throws {
    let session = try Session(try model())
    try session.evaluate([10, 11])
    let logits = session.heldLogits
    let cancellation = Cancellation()
    cancellation.trigger()

    let error = #expect(throws: XverseError.self) {
      try session.evaluate(randomTokens(600, seed: 1), cancellation: cancellation)
    }

    #expect(error?.code == .cancelled)
    #expect(session.heldTokens == [10, 11])
    #expect(session.heldLogits == logits)
  }

  @Test("a flag that comes up between chunks leaves those before it", arguments: [false, true])
  func cancelsBetween(isScoring: Bool) throws {
    let session = try Session(try model())
    let tokens = randomTokens(1100, seed: 2)
    let cancellation = Cancellation()
    let trigger: Session.Progress = { (done, _) throws(XverseError) in if done == 512 { cancellation.trigger() } }

    let error = #expect(throws: XverseError.self) {
      if isScoring {
        _ = try session.score(tokens, cancellation: cancellation, progress: trigger)
      } else {
        try session.evaluate(tokens, cancellation: cancellation, progress: trigger)
      }
    }

    #expect(error?.code == .cancelled)
    #expect(session.heldTokens == Array(tokens.prefix(512)))
    #expect(session.logits == nil)
    try session.evaluate(Array(tokens[512...]))
    let whole = try Session(session.model)
    try whole.evaluate(Array(tokens.prefix(512)))
    try whole.evaluate(Array(tokens[512...]))
    #expect(session.heldLogits == whole.heldLogits)
  }

  @Test("what progress throws leaves the chunks evaluated until then", arguments: [512, 600])
  func endsByProgress(place: Int) throws {
    let session = try Session(try model())
    let tokens = randomTokens(600, seed: 3)

    let error = #expect(throws: XverseError.self) {
      try session.evaluate(tokens) { (done, _) throws(XverseError) in
        if done == place { throw XverseError(.stopped, "enough") }
      }
    }

    #expect(error?.code == .stopped)
    #expect(session.heldTokens == Array(tokens.prefix(place)))
    #expect((session.logits != nil) == (place == 600))
  }

  @Test("memory that runs out in a later chunk takes back the whole call", arguments: [false, true])
  func rollsBack(isScoring: Bool) throws {
    let limit = 64 << 20
    let allocator = MemoryAllocator(limit: limit)
    let session = try Session(try model(allocator))
    // Work memory as large as the chunks need it, and ids and blocks for 1200 tokens.
    _ = try session.score(randomTokens(1200, seed: 4))
    session.truncate(to: 0)
    try session.evaluate([10, 11, 12])
    let logits = session.heldLogits
    let tokens = randomTokens(4000, seed: 5)
    // Room for the ids but not for the blocks.
    let ballast = limit - allocator.current - 40_000
    let memory = try allocator.allocate(ballast)
    var steps: [Int] = []
    let count: Session.Progress = { (done, _) throws(XverseError) in steps.append(done) }

    let error = #expect(throws: XverseError.self) {
      if isScoring {
        _ = try session.score(tokens, progress: count)
      } else {
        try session.evaluate(tokens, progress: count)
      }
    }

    allocator.deallocate(memory, bytes: ballast)
    #expect(error?.code == .outOfMemory)
    #expect(!steps.isEmpty)
    #expect(session.heldTokens == [10, 11, 12])
    #expect(session.heldLogits == logits)
    try session.evaluate([13])
    let isSame = try session.heldLogits == Oracle(session.model).logits(after: [10, 11, 12, 13])
    #expect(isSame)
  }

  /// A table of 64 blocks of 8 bytes, and 370 logits of 4 bytes.
  @Test("without memory does not come to be, and holds nothing", arguments: [0, 511, 512, 512 + 1479])
  func reportsShortage(room: Int) throws {
    let limit = 64 << 20
    let allocator = MemoryAllocator(limit: limit)
    let model = try model(allocator)
    let ballast = limit - allocator.current - room
    let memory = try allocator.allocate(ballast)

    let error = #expect(throws: XverseError.self) { try Session(model) }

    #expect(error?.code == .outOfMemory)
    #expect(allocator.current == limit - room)
    allocator.deallocate(memory, bytes: ballast)
    #expect(try Session(model).length == 0)
  }

  @Test("gives all of its memory back")
  func givesBack() throws {
    let model = try model()
    let allocator = model.runtime.allocator
    do {
      let session = try Session(model)
      try session.evaluate(randomTokens(600, seed: 6))
    }
    let idle = allocator.current

    do {
      let session = try Session(model)
      try session.evaluate(randomTokens(600, seed: 7))
      session.truncate(to: 3)
      _ = try session.score(randomTokens(20, seed: 8))
      _ = try session.generate([10, 11, 12, 13], greedyOptions(20))
      #expect(allocator.current > idle)
    }

    // Scoring may have made the shared work memory larger; nothing else is left.
    #expect(allocator.current - idle <= model.runtime.scratchBytes)
    do {
      let before = allocator.current
      let session = try Session(model)
      try session.evaluate([10, 11])
      #expect(allocator.current > before)
    }
  }

  @Test("decoding takes memory at the boundaries of cache blocks only", arguments: [1, 17, 100])
  func decodesWithoutMemory(promptCount: Int) throws {
    let host = CountingHost()
    let functions = MemoryAllocator.Functions(
      allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
    try withExtendedLifetime(host) {
      let session = try Session(try model(MemoryAllocator(functions: functions)))
      let tokens = randomTokens(400, seed: 9)
      try session.evaluate(Array(tokens.prefix(promptCount)))
      // The second pass makes one block of the work memory that the first took in pieces.
      try session.evaluate([tokens[promptCount]])
      var growing: [Int] = []

      for position in promptCount + 1..<400 {
        let requests = host.requestCount
        try session.evaluate([tokens[position]])
        if host.requestCount > requests { growing.append(position) }
      }

      #expect(growing.allSatisfy { $0 % KVLayout.positionsPerBlock == 0 })
      #expect(growing.count == 6 - promptCount / KVLayout.positionsPerBlock)
    }
  }
}
