// NormalizerTests.swift -- Prepend and Replace.

import Testing
import XverseCore
@testable import XverseTokenizers

@Suite("Normalizer")
struct NormalizerTests {
  private func normalize(_ text: String, _ step: String) throws -> (text: String, leadingCount: Int) {
    let json = Array(step.utf8)
    return try json.withUnsafeBytes { json in
      let document = try JSONDocument(json, source: "step")
      let normalizer = try Normalizer(FileValue(value: document.root, path: "normalizer", warnings: FileWarnings()))
      var scratch = Normalizer.Scratch(allocator: .system)
      return try Array(text.utf8).withUnsafeBytes { bytes in
        let piece = try normalizer.normalize(TextPiece(text: bytes), scratch: &scratch)
        return (String(decoding: piece.bytes, as: UTF8.self), piece.leadingCount)
      }
    }
  }

  @Test(
    "Replace goes from left to right without overlap",
    arguments: [
      ("aaaaab", "aa", "b", "bbab"), ("", "a", "b", ""), ("xyz", "a", "b", "xyz"), ("a", "a", "", ""),
      ("ab ab", "ab", "▁", "▁ ▁"),
    ])
  func replace(text: String, pattern: String, content: String, expected: String) throws {
    let step = #"{"type": "Replace", "pattern": {"String": "\#(pattern)"}, "content": "\#(content)"}"#
    #expect(try normalize(text, step).text == expected)
  }

  @Test("Prepend leaves an empty text empty", arguments: [("", ""), ("a", "▁a"), ("▁", "▁▁")])
  func prepend(text: String, expected: String) throws {
    #expect(try normalize(text, #"{"type": "Prepend", "prepend": "▁"}"#).text == expected)
  }

  @Test(
    "keeps account of the bytes that stand for the first character",
    arguments: [
      ("中a", #"{"type": "Prepend", "prepend": "▁"}"#, 6),
      ("ba", #"{"type": "Replace", "pattern": {"String": "b"}, "content": "123"}"#, 3),
      ("ba", #"{"type": "Replace", "pattern": {"String": "ba"}, "content": "123"}"#, 0),
      ("ba", #"{"type": "Replace", "pattern": {"String": "b"}, "content": ""}"#, 0),
    ])
  func leadingBytes(text: String, step: String, count: Int) throws {
    #expect(try normalize(text, step).leadingCount == count)
  }
}
