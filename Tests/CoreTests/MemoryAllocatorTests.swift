// MemoryAllocatorTests.swift -- the allocator that counts and can say no.

import TestSupport
import Testing
import XverseCore

@Suite("MemoryAllocator")
struct MemoryAllocatorTests {
  @Test("gives memory on cache lines", arguments: [0, 1, 63, 64, 65, 4097])
  func alignsMemory(bytes: Int) throws {
    let allocator = MemoryAllocator()

    let memory = try allocator.allocate(bytes)
    defer { allocator.deallocate(memory, bytes: bytes) }

    #expect(Int(bitPattern: memory) % MemoryAllocator.alignment == 0)
  }

  @Test("counts what is held and the most that was ever held")
  func counts() throws {
    let allocator = MemoryAllocator()

    let first = try allocator.allocate(100)
    let second = try allocator.allocate(50)
    allocator.deallocate(first, bytes: 100)
    let third = try allocator.allocate(20)

    #expect(allocator.current == 70)
    #expect(allocator.peak == 150)
    allocator.deallocate(second, bytes: 50)
    allocator.deallocate(third, bytes: 20)
    #expect(allocator.current == 0)
    #expect(allocator.peak == 150)
  }

  @Test("gives memory up to its limit and not a byte more")
  func keepsLimit() throws {
    let allocator = MemoryAllocator(limit: 100)
    let first = try allocator.allocate(60)

    let error = #expect(throws: XverseError.self) { try allocator.allocate(41) }

    #expect(
      error == XverseError(.outOfMemory, "cannot allocate 41 bytes: 60 of memory_limit 100 are in use"))
    #expect(allocator.current == 60)
    #expect(allocator.peak == 60)
    let second = try allocator.allocate(40)
    #expect(allocator.current == 100)
    allocator.deallocate(first, bytes: 60)
    allocator.deallocate(second, bytes: 40)
  }

  @Test("rejects sizes whose sum passes Int", arguments: [0, 1000])
  func rejectsOverflow(limit: Int) throws {
    let allocator = MemoryAllocator(limit: limit)
    let memory = try allocator.allocate(8)

    let error = #expect(throws: XverseError.self) { try allocator.allocate(.max) }

    #expect(error?.code == .outOfMemory)
    #expect(allocator.current == 8)
    allocator.deallocate(memory, bytes: 8)
  }

  @Test("uses the host's functions, and nothing else")
  func usesHost() throws {
    let host = CountingHost()
    let allocator = MemoryAllocator(host)

    let memory = try allocator.allocate(1000)
    memory.storeBytes(of: 7, toByteOffset: 992, as: Int.self)

    #expect(host.blockCount == 1)
    #expect(host.byteCount == 1000)
    allocator.deallocate(memory, bytes: 1000)
    #expect(host.blockCount == 0)
    #expect(host.byteCount == 0)
  }

  @Test("holds nothing after the host said no")
  func survivesFailingHost() {
    let host = CountingHost(failingRequest: 0)
    let allocator = MemoryAllocator(host)

    let error = #expect(throws: XverseError.self) { try allocator.allocate(1000) }

    #expect(error == .outOfMemory(bytes: 1000))
    #expect(allocator.current == 0)
    #expect(allocator.peak == 0)
  }

  @Test("does not ask the host for what passes the limit")
  func asksHostWithinLimit() {
    let host = CountingHost()
    let allocator = MemoryAllocator(host, limit: 10)

    #expect(throws: XverseError.self) { try allocator.allocate(11) }

    #expect(host.requestCount == 0)
  }

  @Test("counts exactly with many threads")
  func countsAcrossThreads() async {
    let allocator = MemoryAllocator(limit: 1 << 20)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for size in 1...500 {
            if let memory = try? allocator.allocate(size) { allocator.deallocate(memory, bytes: size) }
          }
        }
      }
    }

    #expect(allocator.current == 0)
    #expect(allocator.peak >= 500)
  }
}
