// ScratchArenaTests.swift -- the memory of forward passes: where pieces stand, and when memory is asked for.

import TestSupport
import Testing
import XverseCore
import XverseTensors

/// Sizes of pieces, in floats, as a small model's pass takes them; 0 is what a product without scratch asks for.
private let passSizes = [96, 96, 7, 0, 1, 333, 4096, 16, 17, 1000]

/// Runs `body` with an arena whose memory comes from `host`, which outlives it.
private func withArena(
  of host: CountingHost = CountingHost(), _ body: (ScratchArena) throws -> Void
) rethrows {
  let functions = MemoryAllocator.Functions(
    allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
  try withExtendedLifetime(host) { try body(ScratchArena(allocator: MemoryAllocator(functions: functions))) }
}

extension ScratchArena {
  fileprivate func pass(_ sizes: [Int] = passSizes) throws(XverseError) {
    reset()
    for size in sizes { _ = try floats(size) }
  }
}

@Suite("ScratchArena")
struct ScratchArenaTests {
  @Test("gives pieces on cache lines", arguments: [0, 1, 15, 16, 17, 1000])
  func alignsPieces(count: Int) throws {
    try withArena { arena in
      let pieces = try (0..<5).map { _ in try arena.floats(count) }

      #expect(pieces.allSatisfy { Int(bitPattern: $0) % MemoryAllocator.alignment == 0 })
    }
  }

  @Test("pieces keep their place and their contents while others are taken")
  func piecesStay() throws {
    try withArena { arena in
      var random = SeededRandom(seed: 7)
      for _ in 0..<3 {
        arena.reset()
        var pieces: [UnsafeMutableBufferPointer<Float>] = []

        for index in 0..<100 {
          let count = Int.random(in: 1...500, using: &random)
          let piece = UnsafeMutableBufferPointer(start: try arena.floats(count), count: count)
          piece.update(repeating: Float(index))
          pieces.append(piece)
        }

        #expect(pieces.enumerated().allSatisfy { index, piece in piece.allSatisfy { $0 == Float(index) } })
      }
    }
  }

  @Test("gives a matrix the shape asked for")
  func givesMatrices() throws {
    try withArena { arena in
      let matrix = try arena.matrix(rows: 3, columns: 5)

      #expect(matrix.rows == 3)
      #expect(matrix.columns == 5)
      #expect(arena.byteCount >= 3 * 5 * MemoryLayout<Float>.stride)
    }
  }

  @Test("a pass like the one before asks for no memory")
  func repeatsWithoutMemory() throws {
    let host = CountingHost()
    try withArena(of: host) { arena in
      try arena.pass()
      arena.reset()
      let requests = host.requestCount
      let held = arena.byteCount

      for _ in 0..<10 { try arena.pass() }

      #expect(host.requestCount == requests)
      #expect(arena.byteCount == held)
    }
  }

  @Test("reset makes one block of all, as large as they were together")
  func coalesces() throws {
    let host = CountingHost()
    try withArena(of: host) { arena in
      try arena.pass()
      let held = arena.byteCount
      #expect(host.blockCount > 1)

      arena.reset()

      #expect(host.blockCount == 1)
      #expect(arena.byteCount == held)
      #expect(host.byteCount == held)
    }
  }

  @Test("a smaller pass in between gives nothing back")
  func keepsMemory() throws {
    let host = CountingHost()
    try withArena(of: host) { arena in
      try arena.pass()
      arena.reset()
      let requests = host.requestCount

      try arena.pass([16])
      try arena.pass()

      #expect(host.requestCount == requests)
    }
  }

  @Test("passes of changing sizes settle, with less than twice the largest pass")
  func settles() throws {
    let host = CountingHost()
    try withArena(of: host) { arena in
      var random = SeededRandom(seed: 3)
      let passes = (0..<20).map { _ in (0..<30).map { _ in Int.random(in: 0...2000, using: &random) } }
      for sizes in passes { try arena.pass(sizes) }
      arena.reset()
      let requests = host.requestCount

      for sizes in passes { try arena.pass(sizes) }
      arena.reset()

      // A piece takes whole cache lines of 16 floats.
      let largest = passes.map { $0.reduce(0) { $0 + ($1 + 15) / 16 * 64 } }.max() ?? 0
      #expect(host.requestCount == requests)
      #expect(arena.byteCount < 2 * largest)
    }
  }

  // The nine pieces that are not empty, and a large one.
  @Test("says that there is no memory, and goes on with what it has", arguments: 0..<10)
  func reportsShortage(failingRequest: Int) throws {
    let host = CountingHost(failingRequest: failingRequest)
    try withArena(of: host) { arena in
      let error = #expect(throws: XverseError.self) {
        for size in passSizes { _ = try arena.floats(size) }
        _ = try arena.floats(1 << 20)
      }

      #expect(error?.code == .outOfMemory)
      #expect(arena.byteCount == host.byteCount)
      try arena.pass()
      #expect(arena.byteCount == host.byteCount)
    }
  }

  @Test("a reset without memory for one block starts from nothing")
  func resetsWithoutMemory() throws {
    let sizes = [100, 200]
    // The first pass takes two blocks, and the third request is the reset's.
    let host = CountingHost(failingRequest: 2)
    try withArena(of: host) { arena in
      try arena.pass(sizes)

      arena.reset()

      #expect(host.byteCount == 0)
      #expect(arena.byteCount == 0)
      try arena.pass(sizes)
      #expect(host.blockCount == 2)
    }
  }

  @Test("gives all memory back when it goes")
  func givesBack() throws {
    let host = CountingHost()

    try withArena(of: host) { arena in
      try arena.pass()
      try arena.pass([50_000])
    }

    #expect(host.blockCount == 0)
    #expect(host.byteCount == 0)
  }
}
