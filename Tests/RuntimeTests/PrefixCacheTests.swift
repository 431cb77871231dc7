// PrefixCacheTests.swift -- what is found of a sequence, what goes first, and what sessions gain by it.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseModels
import XverseTensors

@testable import XverseRuntime

private let block = KVLayout.positionsPerBlock

/// Sequences over one prefix cache, without a model: a position holds its token where a key would stand.
struct PrefixFixture {
  static let layout = KVLayout(element: .float32, layerCount: 1, kvHeadCount: 1, headSize: 2)
  static let blockBytes = layout.bytesPerBlock

  let allocator: MemoryAllocator
  let pool: KVBlockPool
  let prefixes: PrefixCache

  init(limit: Int = 1 << 30, memoryLimit: Int = 0) {
    allocator = MemoryAllocator(limit: memoryLimit)
    pool = KVBlockPool(allocator: allocator)
    prefixes = PrefixCache(limit: limit, allocator: allocator)
  }

  func sequence(_ tokens: [Int32] = []) throws -> TokenSequence {
    let sequence = try TokenSequence(
      Self.layout, context: 64 * block, source: pool, allocator: allocator, prefixes: prefixes)
    try sequence.grow(tokens)
    return sequence
  }

  /// Leaves the blocks of these tokens to the cache.
  func leave(_ tokens: [Int32]) throws { _ = try sequence(tokens) }

  /// How many of `tokens` a new sequence is given.
  func found(_ tokens: [Int32]) throws -> Int {
    let sequence = try sequence()
    let count = try sequence.adopt(tokens)
    #expect(sequence.contents == Array(tokens.prefix(count)))
    return count
  }
}

extension TokenSequence {
  /// Evaluates tokens, as far as the cache is concerned.
  func grow(_ tokens: [Int32]) throws {
    let begin = length
    try reserveTokens(begin + tokens.count)
    try cache.reserve(begin + tokens.count)
    cache.advance(by: tokens.count)
    let blocks = cache.blocks(positions: cache.length)
    for (index, token) in tokens.enumerated() {
      let position = begin + index
      blocks[position / block].base.storeBytes(of: token, toByteOffset: position % block * 4, as: Int32.self)
    }
    try tokens.withUnsafeBufferPointer { try append($0) }
  }

  func adopt(_ tokens: [Int32]) throws -> Int { try tokens.withUnsafeBufferPointer { try adoptKnown($0) } }

  /// The tokens that its blocks hold.
  var contents: [Int32] {
    let blocks = cache.blocks(positions: cache.length)
    return (0..<cache.length).map { blocks[$0 / block].base.load(fromByteOffset: $0 % block * 4, as: Int32.self) }
  }
}

@Suite("PrefixCache")
struct PrefixCacheTests {
  @Test("finds the longest common beginning with any sequence, but for the last token")
  func finds() throws {
    let fixture = PrefixFixture()
    let tokens = randomTokens(200, seed: 1)
    try fixture.leave(tokens)

    #expect(try fixture.found(tokens) == 199)
    #expect(try fixture.found(tokens + [7]) == 200)
    #expect(try fixture.found(Array(tokens.prefix(130)) + [-1, -1]) == 130)
    #expect(try fixture.found(Array(tokens.prefix(3)) + [-1, -1]) == 3)
    #expect(try fixture.found([-1] + tokens) == 0)
    #expect(try fixture.found([tokens[0]]) == 0)
    #expect(try fixture.found([]) == 0)
    #expect(fixture.prefixes.statistics.blocks == 4)
    try fixture.prefixes.checkInvariants()
  }

  @Test("of several branches takes the one with the most in common")
  func branches() throws {
    let fixture = PrefixFixture()
    let common = randomTokens(block + 10, seed: 2)
    for branch in [5, 900, 77, 6] as [Int32] { try fixture.leave(common + [branch] + randomTokens(80, seed: 3)) }

    for branch in [5, 900, 77, 6] as [Int32] {
      #expect(try fixture.found(common + [branch] + randomTokens(80, seed: 3) + [1]) == common.count + 81)
    }
    #expect(try fixture.found(common + [50, 51]) == common.count)
    // One block in common, and two of each branch.
    #expect(fixture.prefixes.statistics.blocks == 1 + 4 * 2)
    try fixture.prefixes.checkInvariants()
  }

  @Test("a full block takes the place of one filled in part, which then goes")
  func replacesPartBlocks() throws {
    let fixture = PrefixFixture()
    let tokens = randomTokens(2 * block, seed: 4)
    try fixture.leave(Array(tokens.prefix(70)))
    try fixture.leave(Array(tokens.prefix(75)))
    #expect(fixture.prefixes.statistics.blocks == 2)
    #expect(try fixture.found(tokens) == 75)

    try fixture.leave(tokens)
    try fixture.leave(Array(tokens.prefix(72)))

    #expect(fixture.prefixes.statistics.blocks == 2)
    #expect(fixture.pool.blockCount == 2)
    #expect(try fixture.found(tokens + [1]) == 2 * block)
    try fixture.prefixes.checkInvariants()
  }

  @Test("full blocks are found while their sequence lives, the last one when it is gone")
  func sharesWhileAlive() throws {
    let fixture = PrefixFixture()
    let tokens = randomTokens(block + 20, seed: 5)
    var sequence: TokenSequence? = try fixture.sequence(tokens)
    #expect(try fixture.found(tokens) == block)
    #expect(sequence?.length == tokens.count)

    sequence = nil

    #expect(try fixture.found(tokens) == block + 19)
  }

  @Test("a sequence that has more of the tokens than the cache keeps its own")
  func keepsOwn() throws {
    let fixture = PrefixFixture()
    let tokens = randomTokens(50, seed: 6)
    try fixture.leave(Array(tokens.prefix(20)))
    let sequence = try fixture.sequence(Array(tokens.prefix(30)))

    #expect(try sequence.adopt(Array(tokens[30...])) == 0)
    #expect(sequence.contents == Array(tokens.prefix(30)))
    #expect(sequence.tokens.elementsEqual(tokens.prefix(30)))
  }

  @Test("caches of another element type share nothing")
  func separatesElements() throws {
    let fixture = PrefixFixture()
    let tokens = randomTokens(100, seed: 7)
    try fixture.leave(tokens)
    let other = try TokenSequence(
      KVLayout(element: .float16, layerCount: 1, kvHeadCount: 1, headSize: 2), context: 2 * block, source: fixture.pool,
      allocator: fixture.allocator, prefixes: fixture.prefixes)

    #expect(try other.adopt(tokens) == 0)
  }

  @Test("beyond the limit the least recently used of what nobody holds goes, its end first")
  func obeysLimit() throws {
    let fixture = PrefixFixture(limit: 4 * PrefixFixture.blockBytes)
    let sequences = (0..<3).map { randomTokens(2 * block, seed: 10 + $0) }
    try fixture.leave(sequences[0])
    try fixture.leave(sequences[1])
    #expect(try fixture.found(sequences[0] + [1]) == 2 * block)

    try fixture.leave(sequences[2])

    #expect(fixture.pool.blockCount == 4)
    #expect(try fixture.found(sequences[1] + [1]) == 0)
    #expect(try fixture.found(sequences[0] + [1]) == 2 * block)
    try fixture.leave(randomTokens(block, seed: 20))
    #expect(try fixture.found(sequences[2] + [1]) == block)
    try fixture.prefixes.checkInvariants()
  }

  @Test("what sequences hold does not count against the limit")
  func sparesHeld() throws {
    let fixture = PrefixFixture(limit: 2 * PrefixFixture.blockBytes)
    let kept = randomTokens(2 * block, seed: 21)
    try fixture.leave(kept)

    let held = try fixture.sequence(randomTokens(10 * block, seed: 22))

    #expect(fixture.prefixes.statistics.blocks == 12)
    #expect(try fixture.found(kept + [1]) == 2 * block)
    #expect(held.length == 10 * block)
  }

  @Test("gives up what nobody holds before memory runs out, and nothing else")
  func relieves() throws {
    let fixture = PrefixFixture(memoryLimit: 20 * PrefixFixture.blockBytes)
    let held = try fixture.sequence(randomTokens(4 * block, seed: 23))
    for seed in 30..<33 as Range<UInt64> { try fixture.leave(randomTokens(4 * block, seed: seed)) }
    #expect(fixture.pool.blockCount == 16)

    let large = 14 * PrefixFixture.blockBytes
    let memory = try fixture.allocator.allocate(large)

    #expect(held.contents == randomTokens(4 * block, seed: 23))
    #expect(fixture.pool.blockCount >= 4 && fixture.pool.blockCount <= 5)
    try fixture.prefixes.checkInvariants()
    #expect(throws: XverseError.self) { _ = try fixture.allocator.allocate(3 * PrefixFixture.blockBytes) }
    #expect(fixture.pool.blockCount == 4)
    fixture.allocator.deallocate(memory, bytes: large)
    try fixture.prefixes.checkInvariants()
  }

  @Test("counts what was asked for and what was found")
  func counts() throws {
    let fixture = PrefixFixture()
    let tokens = randomTokens(100, seed: 8)
    #expect(try fixture.found(tokens) == 0)
    try fixture.leave(tokens)
    #expect(try fixture.found(tokens + [1]) == 100)

    let statistics = fixture.prefixes.statistics
    #expect(statistics.lookedUpTokens == 99 + 100)
    #expect(statistics.foundTokens == 100)
    #expect(statistics.blocks == 2 && statistics.bytes == 2 * PrefixFixture.blockBytes)
  }

  @Test("gives all blocks back when it goes")
  func givesBack() throws {
    let pool: KVBlockPool
    do {
      let fixture = PrefixFixture()
      pool = fixture.pool
      try fixture.leave(randomTokens(1000, seed: 9))
      #expect(pool.blockCount == 16)
    }
    #expect(pool.blockCount == 0)
  }
}

@Suite("Sessions with a prefix cache")
struct PrefixSessionTests {
  private func session(
    _ host: TinyHost, _ prefixes: PrefixCache?, element: KVElement = .float32, overflow: Session.Overflow = .error,
    context: Int? = nil
  ) throws -> Session {
    try Session(
      host.loaded, host.runtime, context: context, cacheElement: element, overflow: overflow, prefixes: prefixes)
  }

  @Test("give the bits of sessions of their own", arguments: KVElement.allCases)
  func sameBits(element: KVElement) throws {
    let host = try loadTiny { $0.maximumPositions = 1024 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let common = randomTokens(300, seed: 1)
    for (seed, isKept) in [(2, true), (3, false), (4, true)] as [(UInt64, Bool)] {
      let prompt = common.prefix(isKept ? 300 : 270) + randomTokens(90, seed: seed)
      let alone = try session(host, nil, element: element)
      let expected = try alone.generate(Array(prompt), greedyOptions(40))

      let sharing = try session(host, prefixes, element: element)
      let result = try sharing.generate(Array(prompt), greedyOptions(40))

      #expect(result.tokens.elements.elementsEqual(expected.tokens.elements))
      #expect(sharing.heldLogits == alone.heldLogits)
      #expect(result.statistics.cachedTokens == (seed == 2 ? 0 : isKept ? 300 : 270))
      try prefixes.checkInvariants()
    }
  }

  @Test("evaluate a common beginning of 1000 tokens once")
  func evaluatesOnce() throws {
    let host = try loadTiny { $0.maximumPositions = 2048 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let common = randomTokens(1000, seed: 5)
    var sessions: [Session] = []
    for index in 0..<16 as Range<Int32> {
      let session = try session(host, prefixes)
      try session.evaluate(common + [10 + index, 30])
      // The last block is not full: others find it when its session is gone.
      #expect(session.adoptedTokens == (index == 0 ? 0 : 960))
      sessions.append(session)
    }
    #expect(host.runtime.kvBlocks.blockCount == 15 + 16)
    sessions.removeAll()
    let last = try session(host, prefixes)
    try last.evaluate(common + [90, 91])
    #expect(last.adoptedTokens == 1000)
  }

  @Test("a session that shifts has the bits of one without a cache")
  func shifts() throws {
    let host = try loadTiny { $0.maximumPositions = 256 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let tokens = randomTokens(400, seed: 6)
    let sessions = try [nil, prefixes, prefixes].map { try session(host, $0, overflow: .shift, context: 150) }
    for start in stride(from: 0, to: 400, by: 25) {
      for session in sessions { try session.evaluate(Array(tokens[start..<start + 25])) }
      for session in sessions[1...] {
        #expect(session.heldTokens == sessions[0].heldTokens)
        #expect(session.heldLogits == sessions[0].heldLogits)
      }
      try prefixes.checkInvariants()
    }
  }

  @Test("memory that runs out behind what was found leaves the session as before")
  func rollsBack() throws {
    let limit = 64 << 20
    let allocator = MemoryAllocator(limit: limit)
    let host = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator)) { $0.maximumPositions = 4096 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: allocator)
    let tokens = randomTokens(4000, seed: 7)
    let other = try session(host, prefixes)
    try other.evaluate(Array(tokens.prefix(1200)))
    let sharing = try session(host, prefixes)
    try sharing.evaluate(Array(tokens.prefix(10)))
    let logits = sharing.heldLogits
    let ballast = limit - allocator.current - 60_000
    let memory = try allocator.allocate(ballast)

    let error = #expect(throws: XverseError.self) { try sharing.evaluate(Array(tokens[10...])) }

    allocator.deallocate(memory, bytes: ballast)
    #expect(error?.code == .outOfMemory)
    #expect(sharing.heldTokens == Array(tokens.prefix(10)))
    #expect(sharing.heldLogits == logits)
    try sharing.evaluate(Array(tokens[10..<1201]))
    try other.evaluate([tokens[1200]])
    #expect(sharing.heldLogits == other.heldLogits)
    try prefixes.checkInvariants()
  }

  @Test("a block that is known to the cache alone is written in place when there is no memory for a copy")
  func writesInPlace() throws {
    let limit = 64 << 20
    let allocator = MemoryAllocator(limit: limit)
    let host = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator)) { $0.maximumPositions = 1024 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: allocator)
    let tokens = randomTokens(2 * block, seed: 8)
    let session = try session(host, prefixes)
    try session.evaluate(tokens)
    try session.evaluate([9])
    session.truncate(to: 2 * block)
    let ballast = limit - allocator.current - 1000
    let memory = try allocator.allocate(ballast)

    session.truncate(to: 2 * block - 1)
    try session.evaluate([10])

    allocator.deallocate(memory, bytes: ballast)
    let alone = try Session(host)
    try alone.evaluate(tokens.dropLast() + [10])
    #expect(session.heldLogits == alone.heldLogits)
    // The cache has let go of the second block, and then got the new one.
    try prefixes.checkInvariants()
    #expect(prefixes.statistics.blocks == 2)

    // A fork needs the block as it is: then there is no way out.
    let fork = try session.fork()
    let rest = limit - allocator.current - 1000
    let more = try allocator.allocate(rest)
    session.truncate(to: 2 * block - 1)
    let error = #expect(throws: XverseError.self) { try session.evaluate([11]) }
    allocator.deallocate(more, bytes: rest)
    #expect(error?.code == .outOfMemory)
    try fork.evaluate([12])
    try alone.evaluate([12])
    #expect(fork.heldLogits == alone.heldLogits)
  }

  @Test("under memory_limit what nobody holds goes before an evaluation fails")
  func evictsUnderLimit() throws {
    let host = try loadTiny { $0.maximumPositions = 4096 }
    let layout = KVLayout(host.configuration, .float32)
    let allocator = MemoryAllocator(limit: host.runtime.allocator.current + (8 << 20))
    let small = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator)) { $0.maximumPositions = 4096 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: allocator)
    for seed in 0..<20 as Range<UInt64> {
      let one = try session(small, prefixes)
      try one.evaluate(randomTokens(3000, seed: 40 + seed))
      #expect(one.length == 3000)
      try prefixes.checkInvariants()
    }
    #expect(prefixes.statistics.bytes < 20 * 3000 / block * layout.bytesPerBlock)
    #expect(prefixes.statistics.blocks > 0)
  }
}
