// SessionForkTests.swift -- a fork takes nothing until it grows, and goes on as the original would have.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseRuntime

@Suite("Session.fork")
struct SessionForkTests {
  @Test("a fork of 2000 tokens takes no block until it grows, then one")
  func takesNoBlock() throws {
    let host = try loadTiny { $0.maximumPositions = 4096 }
    let pool = host.runtime.kvBlocks
    let session = try Session(host)
    try session.evaluate(randomTokens(2000, seed: 1))
    let blocks = pool.blockCount
    #expect(blocks == 32)

    let fork = try session.fork()

    #expect(pool.blockCount == blocks)
    #expect(fork.heldTokens == session.heldTokens)
    #expect(fork.heldLogits == session.heldLogits)
    try fork.evaluate([10])
    #expect(pool.blockCount == blocks + 1)
    try session.evaluate([11])
    #expect(pool.blockCount == blocks + 1)
  }

  @Test("a fork and its original go on as two sessions that never met", arguments: KVElement.allCases)
  func sameBits(element: KVElement) throws {
    let host = try loadTiny { $0.maximumPositions = 1024 }
    let (common, rests) = (randomTokens(150, seed: 2), [randomTokens(80, seed: 3), randomTokens(20, seed: 4)])
    let expected = try rests.map { rest in
      let alone = try Session(host, cacheElement: element)
      try alone.evaluate(common)
      try alone.evaluate(rest)
      return try alone.generated(common + rest, greedyOptions(30))
    }
    let session = try Session(host, cacheElement: element)
    try session.evaluate(common)
    let fork = try session.fork()

    for (index, one) in [session, fork].enumerated() {
      try one.evaluate(rests[index])
      let generated = try one.generated(common + rests[index], greedyOptions(30))
      #expect(generated == expected[index])
    }
  }

  @Test("truncating a fork and writing anew leaves the original alone")
  func truncates() throws {
    let host = try loadTiny { $0.maximumPositions = 1024 }
    let common = randomTokens(200, seed: 5)
    let session = try Session(host)
    try session.evaluate(common)
    let fork = try session.fork()

    fork.truncate(to: 70)
    try fork.evaluate(randomTokens(200, seed: 6))
    try session.evaluate([10])

    let reference = try Session(host)
    try reference.evaluate(common + [10])
    #expect(session.heldLogits == reference.heldLogits)
    #expect(session.heldTokens == common + [10])
  }

  @Test("a fork outlives its original")
  func outlives() throws {
    let host = try loadTiny()
    let tokens = randomTokens(100, seed: 7)
    var session: Session? = try Session(host)
    try session?.evaluate(tokens)
    let fork = try #require(try session?.fork())
    session = nil

    try fork.evaluate([12])

    let isSame = try fork.heldLogits == Oracle(host).logits(after: tokens + [12])
    #expect(isSame)
    #expect(host.runtime.kvBlocks.blockCount == 2)
  }

  @Test("an empty session and one without logits fork too")
  func forksEmpty() throws {
    let session = try Session(try loadTiny())
    #expect(try session.fork().length == 0)
    try session.evaluate([10, 11, 12])
    session.truncate(to: 2)

    let fork = try session.fork()

    #expect(fork.heldTokens == [10, 11])
    #expect(fork.logits == nil)
  }

  @Test("without memory does not come to be, and the original is as before", arguments: 0..<3)
  func reportsShortage(failing: Int) throws {
    let allocator = MemoryAllocator(limit: 64 << 20)
    let session = try Session(try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator)))
    let tokens = randomTokens(100, seed: 8)
    try session.evaluate(tokens)
    let held = allocator.current
    // What a fork takes: a table of 4 blocks, the ids of 2 blocks, 370 logits; all but the last byte of one of them.
    let parts = [2 * 4 * 8, 128 * 4, 370 * 4]
    let room = parts[..<failing].reduce(0, +) + parts[failing] - 1
    let ballast = (64 << 20) - held - room
    let memory = try allocator.allocate(ballast)

    let error = #expect(throws: XverseError.self) { _ = try session.fork() }

    allocator.deallocate(memory, bytes: ballast)
    #expect(error?.code == .outOfMemory)
    #expect(allocator.current == held)
    #expect(session.heldTokens == tokens)
    #expect(try session.fork().heldTokens == tokens)
  }
}
