// ByteReaderTests.swift -- the checked reader of outside bytes.

import Testing
import XverseCore

@testable import XverseFormats

@Suite("ByteReader")
struct ByteReaderTests {
  @Test("reads little-endian integers of any width at any alignment")
  func readsIntegers() throws {
    try withReader([0xFF, 0x34, 0x12, 0x78, 0x56, 0x34, 0x92, 8, 7, 6, 5, 4, 3, 2, 1]) { (reader) throws in
      #expect(try reader.readInteger(Int8.self, "a") == -1)
      #expect(try reader.readInteger(UInt16.self, "b") == 0x1234)
      #expect(try reader.readInteger(UInt32.self, "c") == 0x9234_5678)
      #expect(try reader.readInteger(UInt64.self, "d") == 0x0102_0304_0506_0708)
      #expect(reader.position == 15)
    }
  }

  @Test("rejects an integer that passes the end and stays where it was")
  func rejectsIntegerPastEnd() throws {
    try withReader([1, 2, 3, 4, 5]) { (reader) throws in
      _ = try reader.readInteger(UInt16.self, "a")

      let error = #expect(throws: XverseError.self) { try reader.readInteger(UInt32.self, "the count") }

      #expect(error == .corrupt("x: the count needs 4 bytes at byte 2, but there are 5 bytes", offset: 2))
      #expect(reader.position == 2)
    }
  }

  @Test("slices within the bytes", arguments: [(0, 5), (5, 0), (0, 0), (2, 3)])
  func slices(offset: Int, count: Int) throws {
    try withReader([1, 2, 3, 4, 5]) { (reader) throws in
      #expect(try reader.slice(at: offset, count: count, "it").elementsEqual((1...5).dropFirst(offset).prefix(count)))
    }
  }

  @Test(
    "rejects slices outside the bytes, sums beyond Int among them",
    arguments: [
      (0, 6), (6, 0), (3, 3), (-1, 1), (1, -1), (Int.max, 1), (1, .max), (.max, .max), (.min, .max), (5, .min),
    ])
  func rejectsSlices(offset: Int, count: Int) throws {
    try withReader([1, 2, 3, 4, 5]) { (reader) throws in
      let error = #expect(throws: XverseError.self) { try reader.slice(at: offset, count: count, "it") }
      #expect(error?.code == .corrupt)
    }
  }

  private func withReader(_ bytes: [UInt8], _ body: (inout ByteReader) throws -> Void) throws {
    try bytes.withUnsafeBytes { bytes in
      var reader = ByteReader(bytes, source: "x")
      try body(&reader)
    }
  }
}
