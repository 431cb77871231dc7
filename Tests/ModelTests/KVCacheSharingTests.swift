// KVCacheSharingTests.swift -- blocks that several caches hold: who writes copies, who reads sees what was there, and the
// last one gives back.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseModels

private let layout = KVLayout(element: .float32, layerCount: 2, kvHeadCount: 2, headSize: 8)
private let block = KVLayout.positionsPerBlock

/// Caches of up to 6 blocks, whose memory comes from `host`; what they held is gone when the body ends.
private func withCaches<Result>(
  _ count: Int, of host: CountingHost = CountingHost(), _ body: ([KVCache]) throws -> Result
) throws -> Result {
  let functions = MemoryAllocator.Functions(
    allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
  let result = try withExtendedLifetime(host) {
    let allocator = MemoryAllocator(functions: functions)
    return try body(
      (0..<count).map { _ in try KVCache(layout, capacity: 6 * block, source: allocator, allocator: allocator) })
  }
  #expect(host.blockCount == 0)
  #expect(host.byteCount == 0)
  return result
}

extension KVCache {
  /// Takes `count` positions more and marks the blocks that they stand in with `mark`.
  fileprivate func grow(by count: Int, mark: UInt8) throws {
    let first = length / block
    try reserve(length + count)
    advance(by: count)
    for block in blocks(positions: length)[first...] { block.base.storeBytes(of: mark, as: UInt8.self) }
  }

  /// The marks of the blocks that it holds.
  fileprivate var marks: [UInt8] { blocks(positions: length).map { $0.base.load(as: UInt8.self) } }

  fileprivate func share(_ other: KVCache) { adopt(other.blocks(positions: other.length), positions: other.length) }
}

@Suite("KVCache sharing")
struct KVCacheSharingTests {
  @Test("taking others' blocks takes no memory, and both see the same")
  func shares() throws {
    let host = CountingHost()
    try withCaches(2, of: host) { caches in
      try caches[0].grow(by: block + 6, mark: 1)
      let requests = host.requestCount

      caches[1].share(caches[0])

      #expect(host.requestCount == requests)
      #expect(caches[1].length == block + 6)
      #expect(caches[1].marks == [1, 1])
      #expect(caches[1].byteCount == caches[0].byteCount)
      #expect(caches[0].blocks(positions: block).allSatisfy { $0.isShared })
    }
  }

  @Test("who grows first copies the last block; the other then owns it and copies nothing", arguments: [0, 1])
  func copiesOnWrite(first: Int) throws {
    let host = CountingHost()
    try withCaches(2, of: host) { caches in
      try caches[0].grow(by: block + 6, mark: 1)
      caches[1].share(caches[0])
      let before = host.requestCount

      try caches[first].grow(by: 1, mark: 2)
      #expect(host.requestCount == before + 1)
      #expect(caches[first].marks == [1, 2])
      #expect(caches[1 - first].marks == [1, 1])

      try caches[1 - first].grow(by: 1, mark: 3)
      #expect(host.requestCount == before + 1)
      #expect(caches[first].marks == [1, 2])
      #expect(caches[1 - first].marks == [1, 3])
    }
  }

  @Test("a copy holds what the block held")
  func copiesContents() throws {
    try withCaches(2) { caches in
      try caches[0].grow(by: 10, mark: 7)
      let original = caches[0].blocks(positions: 10)[0]
      var random = SeededRandom(seed: 1)
      for offset in 0..<original.byteCount {
        original.base.storeBytes(of: UInt8.random(in: 0...255, using: &random), toByteOffset: offset, as: UInt8.self)
      }
      caches[1].share(caches[0])

      try caches[1].reserve(11)
      caches[1].advance(by: 1)

      let copy = caches[1].blocks(positions: 11)[0]
      #expect(copy.base != original.base)
      let equal = UnsafeRawBufferPointer(start: copy.base, count: copy.byteCount)
        .elementsEqual(UnsafeRawBufferPointer(start: original.base, count: original.byteCount))
      #expect(equal)
    }
  }

  @Test("growing behind a full shared block copies nothing")
  func sharesFullBlocks() throws {
    let host = CountingHost()
    try withCaches(2, of: host) { caches in
      try caches[0].grow(by: 2 * block, mark: 1)
      caches[1].share(caches[0])
      let before = host.requestCount

      try caches[1].grow(by: 1, mark: 2)

      #expect(host.requestCount == before + 1)
      #expect(caches[1].marks == [1, 1, 2])
      #expect(caches[0].marks == [1, 1])
    }
  }

  @Test("writing from a position on replaces every shared block from there", arguments: [0, 1, 2])
  func writesFrom(start: Int) throws {
    let host = CountingHost()
    try withCaches(2, of: host) { caches in
      try caches[0].grow(by: 3 * block, mark: 1)
      caches[1].share(caches[0])
      let before = host.requestCount

      try caches[1].reserve(3 * block, writingFrom: start * block)

      #expect(host.requestCount == before + 3 - start)
      let (own, shared) = (caches[1].blocks(positions: 3 * block), caches[0].blocks(positions: 3 * block))
      #expect(zip(own, shared).map { $0 === $1 } == (0..<3).map { $0 < start })
      #expect(caches[1].marks == [1, 1, 1])
    }
  }

  @Test("truncation lets go of blocks that others hold, and keeps those of its own")
  func truncates() throws {
    let host = CountingHost()
    try withCaches(2, of: host) { caches in
      try caches[0].grow(by: 3 * block, mark: 1)
      caches[1].share(caches[0])
      caches[1].truncate(to: block + 1)
      #expect(caches[1].byteCount == 2 * layout.bytesPerBlock)

      try caches[1].grow(by: 2 * block, mark: 2)
      #expect(caches[1].marks == [1, 2, 2, 2])
      let requests = host.requestCount
      caches[1].truncate(to: block)
      #expect(caches[1].byteCount == 4 * layout.bytesPerBlock)
      try caches[1].grow(by: 3 * block, mark: 3)

      #expect(host.requestCount == requests)
      #expect(caches[0].marks == [1, 1, 1])
    }
  }

  @Test("adopting keeps the blocks that both hold already and lets go of the others")
  func adopts() throws {
    let host = CountingHost()
    try withCaches(3, of: host) { caches in
      try caches[0].grow(by: 2 * block, mark: 1)
      caches[1].share(caches[0])
      try caches[0].grow(by: block, mark: 2)
      try caches[1].grow(by: 2 * block, mark: 3)
      let held = host.blockCount

      caches[1].share(caches[0])

      #expect(caches[1].marks == [1, 1, 2])
      #expect(host.blockCount == held - 2)
      caches[1].adopt([], positions: 0)
      #expect(caches[1].length == 0 && caches[1].byteCount == 0)
      #expect(caches[0].blocks(positions: 3 * block).allSatisfy { !$0.isShared })
    }
  }

  @Test("without memory for the N-th block is as long as before, and nobody's block changes", arguments: 0..<4)
  func reportsShortage(failing: Int) throws {
    // Two tables and three blocks come first.
    let host = CountingHost(failingRequest: 5 + failing)
    try withCaches(2, of: host) { caches in
      try caches[0].grow(by: 2 * block + 6, mark: 1)
      caches[1].share(caches[0])
      let count = 5 * block

      let error = #expect(throws: XverseError.self) { try caches[1].reserve(count, writingFrom: block) }

      #expect(error?.code == .outOfMemory)
      #expect(caches[1].length == 2 * block + 6)
      #expect(caches[1].byteCount == 3 * layout.bytesPerBlock)
      #expect(caches[0].marks == [1, 1, 1] && caches[1].marks == [1, 1, 1])
      try caches[1].reserve(count, writingFrom: block)
      // Two copies, which stay when something fails behind them, and two new ones, which do not.
      #expect(host.requestCount == 5 + failing + 1 + 4 - min(failing, 2))
    }
  }

  @Test("a cache that goes leaves its blocks to the others")
  func outlives() throws {
    let host = CountingHost()
    try withCaches(1, of: host) { caches in
      do {
        try withExtendedLifetime(host) {
          let functions = MemoryAllocator.Functions(
            allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
          let allocator = MemoryAllocator(functions: functions)
          let other = try KVCache(layout, capacity: 6 * block, source: allocator, allocator: allocator)
          try other.grow(by: block + 1, mark: 5)
          caches[0].share(other)
        }
      }
      #expect(caches[0].marks == [5, 5])
      #expect(caches[0].blocks(positions: 1).allSatisfy { !$0.isShared })
    }
  }

  @Test("sequences that share a beginning have the bits of ones that do not", arguments: KVElement.allCases)
  func sameBitsAsAlone(element: KVElement) throws {
    let tiny = try TinyModel(tinyCheckpoint())
    let common = randomTokens(100, seed: 3)
    let rests = [randomTokens(70, seed: 4), randomTokens(30, seed: 5)]
    let expected = try rests.map { rest in
      let alone = try TinySequence(tiny.model, element: element)
      try alone.product(common)
      return try alone.evaluate(rest)
    }
    let sequences = try (0..<2).map { _ in try TinySequence(tiny.model, element: element) }
    try sequences[0].product(common)
    sequences[1].cache.adopt(sequences[0].cache.blocks(positions: 100), positions: 100)

    for index in 0..<2 {
      let logits = try sequences[index].evaluate(rests[index])
      #expect(sameBits(logits, expected[index]))
    }
  }
}
