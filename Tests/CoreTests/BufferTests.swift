// BufferTests.swift -- the growable array whose growth can fail.

import TestSupport
import Testing
import XverseCore

@Suite("Buffer")
struct BufferTests {
  @Test("keeps what is appended, in order, while it grows")
  func keepsElements() throws {
    var buffer = Buffer<Int>()

    for i in 0..<1000 { try buffer.append(i * i) }

    #expect(buffer.count == 1000)
    #expect(buffer.elements.elementsEqual((0..<1000).map { $0 * $0 }))
    #expect(buffer[999] == 999 * 999)
  }

  @Test("appends many at once, none at all, and text")
  func appendsMany() throws {
    var buffer = Buffer<UInt8>()

    let values = try Buffer<UInt8>(repeating: 3, count: 2)
    try buffer.append(contentsOf: values.elements)
    try buffer.append(contentsOf: UnsafeBufferPointer(start: nil, count: 0))
    try buffer.append(utf8: "é")

    #expect(Array(buffer.elements) == [3, 3, 0xC3, 0xA9])
  }

  @Test("truncates, drops the first elements and empties without giving memory back")
  func shrinks() throws {
    var buffer = try Buffer<Int>(repeating: 0, count: 6)
    for i in 0..<6 { buffer[i] = i }
    let capacity = buffer.capacity

    buffer.truncate(to: 5)
    buffer.removeFirst(2)
    #expect(Array(buffer.elements) == [2, 3, 4])

    buffer.removeAll()
    #expect(buffer.elements.isEmpty)
    #expect(buffer.capacity == capacity)
  }

  @Test("grows by doubling, so that appending is amortized O(1)")
  func growsByDoubling() throws {
    let host = CountingHost()
    let allocator = MemoryAllocator(host)
    var buffer = Buffer<Int32>(allocator: allocator)

    for i in 0..<Int32(100_000) { try buffer.append(i) }

    #expect(host.requestCount <= 14)  // 16 elements doubled 13 times are more than 100,000
    #expect(host.blockCount == 1)
  }

  @Test("leaves the contents unchanged when it cannot grow")
  func survivesFailedGrowth() throws {
    let host = CountingHost(failingRequest: 1)
    var buffer = Buffer<Int>(allocator: MemoryAllocator(host))
    for i in 0..<16 { try buffer.append(i) }

    let error = errorOfAppending(to: &buffer)

    #expect(error?.code == .outOfMemory)
    #expect(Array(buffer.elements) == Array(0..<16))
    try buffer.append(16)
    #expect(buffer.count == 17)
  }

  @Test("rejects a size that no memory has", arguments: [Int.max, .max / 8, .max / 8 + 1, .max - 7])
  func rejectsAbsurdSize(count: Int) throws {
    var buffer = Buffer<Int>()
    try buffer.append(7)

    let error = errorOfReserving(count, in: &buffer)

    #expect(error?.code == .outOfMemory)
    #expect(Array(buffer.elements) == [7])
  }

  @Test("gives its memory back when it goes")
  func returnsMemory() throws {
    let host = CountingHost()
    let allocator = MemoryAllocator(host)
    do {
      let buffer = try Buffer<Double>(repeating: 1, count: 100, allocator: allocator)
      #expect(buffer.elements.reduce(0, +) == 100)
      #expect(allocator.current == 800)
    }

    #expect(allocator.current == 0)
    #expect(host.blockCount == 0)
    #expect(host.byteCount == 0)
  }

  // A buffer cannot be copied, so `#expect(throws:)` cannot capture it.

  private func errorOfAppending(to buffer: inout Buffer<Int>) -> XverseError? {
    do { try buffer.append(-1) } catch { return error }
    return nil
  }

  private func errorOfReserving(_ count: Int, in buffer: inout Buffer<Int>) -> XverseError? {
    do { try buffer.reserve(count) } catch { return error }
    return nil
  }
}
