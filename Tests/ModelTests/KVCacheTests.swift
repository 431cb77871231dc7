// KVCacheTests.swift -- the memory of keys and values: it grows by blocks that stay where they are.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseModels

/// Runs `body` with a cache of a 2-layer model with 3 KV heads of size 10, whose memory comes from `host`.
private func withCache(
  of host: CountingHost = CountingHost(), element: KVElement = .float32, capacity: Int = 200,
  _ body: (KVCache) throws -> Void
) throws {
  let checkpoint = tinyCheckpoint {
    ($0.hiddenSize, $0.headCount, $0.kvHeadCount, $0.headSize) = (36, 6, 3, 10)
  }
  let configuration = try TinyModel(checkpoint).configuration
  let functions = MemoryAllocator.Functions(
    allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
  try withExtendedLifetime(host) {
    let allocator = MemoryAllocator(functions: functions)
    try body(
      KVCache(KVLayout(configuration, element), capacity: capacity, source: allocator, allocator: allocator))
  }
}

/// Vectors of 10 numbers of a position: 2 layers, keys and values, 3 heads.
private let vectors = 2 * 2 * 3

@Suite("KVCache")
struct KVCacheTests {
  @Test("holds nothing before the first token")
  func startsEmpty() throws {
    try withCache { cache in
      #expect(cache.length == 0)
      #expect(cache.byteCount == 0)
      #expect(cache.capacity == 200)
    }
  }

  @Test("grows by blocks of 64 positions", arguments: KVElement.allCases)
  func growsByBlocks(element: KVElement) throws {
    try withCache(element: element) { cache in
      let bytes = vectors * element.bytes(headSize: 10)
      #expect(KVLayout.positionsPerBlock == 64)
      #expect(cache.layout.bytesPerPosition == bytes)
      for (count, blocks) in [(0, 0), (1, 1), (64, 1), (65, 2), (10, 2), (128, 2), (200, 4)] {
        try cache.reserve(count)

        #expect(cache.byteCount == blocks * 64 * bytes, "\(count) positions")
      }
    }
  }

  @Test("float16 takes half the memory of float32, int8 a quarter and a scale for each vector")
  func sizesElements() {
    #expect(KVElement.allCases.map { $0.bytes(headSize: 10) } == [40, 20, 14])
    #expect(KVElement.allCases.map(\.rawValue) == ["f32", "f16", "int8"])
  }

  @Test("one allocation a block, none for positions that have room")
  func allocatesBlocks() throws {
    let host = CountingHost()
    try withCache(of: host) { cache in
      let table = host.requestCount

      try cache.reserve(130)
      #expect(host.requestCount - table == 3)
      try cache.reserve(192)
      #expect(host.requestCount - table == 3)
    }
    #expect(host.blockCount == 0)
    #expect(host.byteCount == 0)
  }

  @Test("blocks stay where they are when the cache grows, and none overlaps another")
  func blocksStay() throws {
    try withCache { cache in
      let part = 3 * 10 * 64 * 4
      try cache.reserve(64)
      let first = cache.segment(row: 0, tokens: 1).blocks[0]

      try cache.reserve(200)

      let blocks = (0..<4).map { cache.segment(row: 0, tokens: 1).blocks[$0] }
      #expect(first == blocks[0])
      let parts = (0..<2).flatMap { [cache.layout.keyOffset(layer: $0), cache.layout.valueOffset(layer: $0)] }
      let starts = blocks.compactMap { $0.map { Int(bitPattern: $0) } }.flatMap { block in parts.map { block + $0 } }
        .sorted()
      #expect(starts.count == 16)
      #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 >= part })
    }
  }

  @Test("its blocks have the model's shape, and a segment stands behind what is filled")
  func describesBlocks() throws {
    try withCache(element: .float16) { cache in
      try cache.reserve(12)
      cache.advance(by: 7)

      let segment = cache.segment(row: 3, tokens: 5)

      #expect(cache.layout == KVLayout(element: .float16, layerCount: 2, kvHeadCount: 3, headSize: 10))
      #expect(segment.position == 7 && segment.row == 3 && segment.tokens == 5)
    }
  }

  @Test("truncation forgets positions and keeps the memory")
  func truncates() throws {
    let host = CountingHost()
    try withCache(of: host) { cache in
      try cache.reserve(150)
      cache.advance(by: 150)
      let held = cache.byteCount
      let requests = host.requestCount

      cache.truncate(to: 70)
      #expect(cache.length == 70)
      cache.truncate(to: 70)
      cache.truncate(to: 0)
      #expect(cache.length == 0)
      try cache.reserve(150)

      #expect(cache.byteCount == held)
      #expect(host.requestCount == requests)
    }
  }

  @Test("without memory for all of the blocks takes none", arguments: 0..<3)
  func reportsShortage(failing: Int) throws {
    let host = CountingHost(failingRequest: 2 + failing)
    try withCache(of: host) { cache in
      // The table and the first block.
      try cache.reserve(60)
      cache.advance(by: 60)
      let held = cache.byteCount
      #expect(host.requestCount == 2)

      let error = #expect(throws: XverseError.self) { try cache.reserve(200) }

      #expect(error?.code == .outOfMemory)
      #expect(cache.length == 60)
      #expect(cache.byteCount == held)
      try cache.reserve(200)
      #expect(cache.byteCount == 4 * held)
    }
    #expect(host.blockCount == 0)
  }

  @Test("without memory for its table does not come to be")
  func reportsShortageOfTable() {
    let host = CountingHost(failingRequest: 0)

    let error = #expect(throws: XverseError.self) { try withCache(of: host) { _ in } }

    #expect(error?.code == .outOfMemory)
    #expect(host.blockCount == 0)
  }

  @Test("rereading a truncated cache forgets what was written beyond", arguments: KVElement.allCases)
  func forgets(element: KVElement) throws {
    let tiny = try TinyModel(tinyCheckpoint())
    let tokens = randomTokens(90, seed: 9)
    let straight = try TinySequence(tiny.model, element: element)
    try straight.product(tokens.prefix(40))
    let expected = try straight.evaluate(tokens[70...])
    let sequence = try TinySequence(tiny.model, element: element)
    try sequence.product(tokens.prefix(40))
    try sequence.product(tokens[40..<70])

    sequence.cache.truncate(to: 40)

    #expect(sameBits(try sequence.evaluate(tokens[70...]), expected))
  }
}
