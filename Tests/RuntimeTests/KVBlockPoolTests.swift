// KVBlockPoolTests.swift -- the blocks of all sessions of a runtime are counted.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseModels
import XverseTensors

@testable import XverseRuntime

@Suite("KVBlockPool")
struct KVBlockPoolTests {
  @Test("counts the blocks of all sessions, and none when they are gone")
  func countsBlocks() throws {
    let host = try loadTiny()
    let pool = host.runtime.kvBlocks
    let layout = KVLayout(host.configuration, .float32)
    do {
      let (one, other) = (try Session(host), try Session(host))
      #expect((pool.blockCount, pool.byteCount) == (0, 0))

      try one.evaluate(randomTokens(KVLayout.positionsPerBlock + 1, seed: 1))
      try other.evaluate(randomTokens(1, seed: 2))

      #expect(pool.blockCount == 3)
      #expect(pool.byteCount == 3 * layout.bytesPerBlock)
      #expect(one.cacheBytes + other.cacheBytes == pool.byteCount)
    }
    #expect((pool.blockCount, pool.byteCount) == (0, 0))
  }

  @Test("a block goes back with the last cache that holds it")
  func countsHolders() throws {
    let pool = KVBlockPool(allocator: MemoryAllocator())
    let layout = KVLayout(element: .float32, layerCount: 2, kvHeadCount: 2, headSize: 8)
    var holders = [KVBlock?](repeating: try KVBlock(layout, from: pool), count: 2)

    holders[0] = nil
    #expect(pool.blockCount == 1)

    holders[1] = nil
    #expect(pool.blockCount == 0)
  }

  @Test("without memory counts nothing")
  func reportsShortage() throws {
    let pool = KVBlockPool(allocator: MemoryAllocator(limit: 100))
    let layout = KVLayout(element: .float32, layerCount: 2, kvHeadCount: 2, headSize: 8)

    let error = #expect(throws: XverseError.self) { try KVBlock(layout, from: pool) }

    #expect(error?.code == .outOfMemory)
    #expect((pool.blockCount, pool.byteCount) == (0, 0))
  }
}
