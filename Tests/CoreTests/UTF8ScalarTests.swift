// UTF8ScalarTests.swift -- the UTF-8 decoder against the standard library's.

import Testing
import XverseCore

@Suite("UTF8Scalar")
struct UTF8ScalarTests {
  @Test("reads every scalar")
  func readsEveryScalar() {
    var wrong: [UInt32] = []
    // Every scalar below U+3000, then each 17th, with the edges of all ranges among them.
    let values =
      Array(0..<0x3000) + Array(stride(from: 0x3000, through: 0x10FFFF, by: 17))
      + [0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]
    for scalar in values.compactMap({ Unicode.Scalar(UInt32($0)) }) {
      let bytes = Array(String(Character(scalar)).utf8)
      let value = bytes.withUnsafeBytes { bytes in
        UTF8Scalar.length(in: bytes, at: 0).map { UTF8Scalar.value(in: bytes, at: 0, length: $0) }
      }
      if value != scalar.value { wrong.append(scalar.value) }
    }
    #expect(wrong.isEmpty)
  }

  @Test("accepts two to four bytes exactly where the standard library does")
  func agreesWithStandardLibrary() {
    var wrong: [[UInt8]] = []
    let edges: [UInt8] = [0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    let tails: [UInt8] = [0x7F, 0x80, 0xBF, 0xC0]
    for lead in UInt8(0x80)...0xFF {
      for second in edges {
        for third in tails {
          for fourth in tails {
            let bytes = [lead, second, third, fourth]
            let length = bytes.withUnsafeBytes { UTF8Scalar.length(in: $0, at: 0) }
            let valid = (1...4).first { String(validating: bytes[..<$0], as: UTF8.self)?.unicodeScalars.count == 1 }
            if length != valid { wrong.append(bytes) }
          }
        }
      }
    }
    #expect(wrong.isEmpty)
  }

  @Test("rejects a scalar that the end cuts off", arguments: ["é", "你", "😀"])
  func rejectsCutScalar(text: String) {
    let bytes = Array(text.utf8)
    for count in 1..<bytes.count {
      #expect(bytes[..<count].withUnsafeBytes { UTF8Scalar.length(in: $0, at: 0) } == nil)
    }
  }
}
