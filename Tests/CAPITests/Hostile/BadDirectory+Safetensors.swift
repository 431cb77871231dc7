// BadDirectory+Safetensors.swift -- model.safetensors with a header that is none, or that contradicts the file or itself.

import CXverse
import Foundation
import Testing

extension BadDirectory {
  static let safetensors: [BadDirectory] = containers + headers + tensors

  private static let containers: [BadDirectory] = [
    weights("an empty file", XVERSE_E_CORRUPT, "empty") { _ in [] },
    weights("7 bytes", XVERSE_E_CORRUPT) { Array($0.bytes.prefix(7)) },
    weights("the header alone", XVERSE_E_CORRUPT) { Array($0.bytes.prefix(8 + $0.headerLength)) },
    weights("half a header", XVERSE_E_CORRUPT) { Array($0.bytes.prefix(8 + $0.headerLength / 2)) },
    weights("one byte less", XVERSE_E_CORRUPT) { $0.bytes.dropLast() },
    weights("one byte more", XVERSE_E_CORRUPT) { $0.bytes + [0] },
    weights("a header of no bytes", XVERSE_E_CORRUPT) { _ in [UInt8](repeating: 0, count: 64) },
    weights("a header of 2^64-1 bytes", XVERSE_E_CORRUPT) {
      [UInt8](repeating: 0xFF, count: 8) + $0.bytes.dropFirst(8)
    },
    weights("a header that is no JSON", XVERSE_E_CORRUPT) {
      var bytes = $0.bytes
      bytes[8 + $0.headerLength / 2] = 0
      return bytes
    },
    weights("a header one byte longer than the file", XVERSE_E_CORRUPT, "header length", "byte") {
      let available = UInt64($0.bytes.count - 8)
      return withUnsafeBytes(of: (available + 1).littleEndian, Array.init) + $0.bytes.dropFirst(8)
    },
    BadDirectory(
      name: "a header of more than 100 MB", status: XVERSE_E_CORRUPT,
      words: ["model.safetensors", "100000001", "100000000"]
    ) {
      try $0.write("model.safetensors", withUnsafeBytes(of: UInt64(100_000_001).littleEndian, Array.init))
      try $0.extend("model.safetensors", to: 200_000_000)
    },
    weights("a pointer of Git LFS", XVERSE_E_CORRUPT, "git lfs pull") { _ in
      Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n".utf8)
    },
  ]

  private static func weights(
    _ name: String, _ status: Int, _ words: String...,
    change: @escaping @Sendable (SafetensorsFile) throws -> [UInt8]
  ) -> BadDirectory {
    BadDirectory(name: name, status: status, words: ["model.safetensors"] + words) {
      try $0.write("model.safetensors", change(SafetensorsFile($0.bytes(of: "model.safetensors"))))
    }
  }

  /// A file of this header and zeros.
  private static func header(
    _ name: String, _ status: Int, _ text: String, zeros: Int = 0, _ words: String...
  ) -> BadDirectory {
    BadDirectory(name: name, status: status, words: ["model.safetensors"] + words) {
      let header = Array(text.utf8)
      let length = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init)
      try $0.write("model.safetensors", length + header + [UInt8](repeating: 0, count: zeros))
    }
  }

  private static let headers: [BadDirectory] = [
    weights("a header that is no UTF-8", XVERSE_E_CORRUPT, "UTF-8", "byte 10") { _ in
      [4, 0, 0, 0, 0, 0, 0, 0] + Array("{\"".utf8) + [0xFF] + Array("}".utf8)
    },
    header("a header that is an array", XVERSE_E_CORRUPT, "[]", "byte 91", "'{'"),
    header("a header that begins with a blank", XVERSE_E_CORRUPT, " {}", "byte 32", "'{'"),
    header(
      "bytes behind the object", XVERSE_E_CORRUPT, one(0, 1) + " x", zeros: 1, "text after the JSON value", "byte"),
    header("metadata that are no object", XVERSE_E_CORRUPT, #"{"__metadata__": []}"#, "'__metadata__'", "array"),
    header(
      "metadata that are no strings", XVERSE_E_CORRUPT, #"{"__metadata__": {"format": 1}}"#, "'format'", "a number"),
    header("two tensors of one name", XVERSE_E_CORRUPT, #"{"a": 1, "\u0061": 2}"#, "duplicate key", "byte"),
    header("deep nesting in a header", XVERSE_E_LIMIT, #"{"a": "# + String(repeating: "[", count: 100_000), "deep"),
    header(
      "more tensors than there may be", XVERSE_E_LIMIT,
      "{" + (0...100_000).map { "\"\($0)\": \(entry(0, 0, shape: "[0]"))" }.joined(separator: ",") + "}",
      "100000 tensors"),
    header("no tensors, but data", XVERSE_E_CORRUPT, "{}", zeros: 4, "end at byte 0", "4"),
  ]

  /// A tensor of bytes.
  private static func entry(_ begin: Int, _ end: Int, shape: String, dtype: String = "U8") -> String {
    #"{"dtype": "\#(dtype)", "shape": \#(shape), "data_offsets": [\#(begin), \#(end)]}"#
  }

  private static func one(_ begin: Int, _ end: Int, shape: String = "[1]", dtype: String = "U8") -> String {
    #"{"a": \#(entry(begin, end, shape: shape, dtype: dtype))}"#
  }

  private static func two(_ first: (Int, Int), _ second: (Int, Int)) -> String {
    let entries = [first, second].map { entry($0.0, $0.1, shape: "[\($0.1 - $0.0)]") }
    return #"{"a": \#(entries[0]), "b": \#(entries[1])}"#
  }

  private static let tensors: [BadDirectory] = [
    header("tensors that overlap", XVERSE_E_CORRUPT, two((0, 4), (2, 6)), zeros: 6, "'b'", "byte 2", "overlap"),
    header("the same bytes twice", XVERSE_E_CORRUPT, two((0, 4), (0, 4)), zeros: 4, "'b'", "byte 0", "overlap"),
    header("a hole between tensors", XVERSE_E_CORRUPT, two((0, 2), (3, 6)), zeros: 6, "'b'", "byte 3", "hole"),
    header("a hole before the first tensor", XVERSE_E_CORRUPT, one(1, 2), zeros: 2, "'a'", "byte 1", "hole"),
    header("data behind the last tensor", XVERSE_E_CORRUPT, one(0, 1), zeros: 2, "end at byte 1", "2"),
    header("an end before the begin", XVERSE_E_CORRUPT, one(1, 0), zeros: 1, "'a'", "[1, 0]"),
    header("a negative begin", XVERSE_E_CORRUPT, one(-1, 0), zeros: 1, "'a'", "[-1, 0]"),
    header("a begin behind the file", XVERSE_E_CORRUPT, one(100, 101), zeros: 1, "'a'", "101", "truncated"),
    header(
      "an end that no integer holds", XVERSE_E_CORRUPT,
      #"{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 18446744073709551615]}}"#, zeros: 1, "'a'",
      "18446744073709551615"),
    header(
      "three offsets", XVERSE_E_CORRUPT, #"{"a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1, 2]}}"#, "'a'"),
    header(
      "offsets that are strings", XVERSE_E_CORRUPT, #"{"a": {"dtype": "U8", "shape": [], "data_offsets": "01"}}"#, "'a'"
    ),
    header(
      "a shape whose product overflows", XVERSE_E_CORRUPT, one(0, 0, shape: "[4294967296, 4294967296]"), "'a'",
      "4294967296"),
    header("a shape whose bits overflow", XVERSE_E_CORRUPT, one(0, 0, shape: "[2305843009213693952]"), "'a'"),
    header("a negative dimension", XVERSE_E_CORRUPT, one(0, 1, shape: "[-1]"), zeros: 1, "'a'", "-1"),
    header("a dimension with a fraction", XVERSE_E_CORRUPT, one(0, 1, shape: "[1.0]"), zeros: 1, "'a'", "1.0"),
    header("nine dimensions", XVERSE_E_LIMIT, one(0, 1, shape: "[1,1,1,1,1,1,1,1,1]"), zeros: 1, "'a'", "8 dimensions"),
    header("a shape of more bytes than there are", XVERSE_E_CORRUPT, one(0, 1, shape: "[2]"), zeros: 1, "'a'", "[2]"),
    header("half a byte", XVERSE_E_CORRUPT, one(0, 1, dtype: "F4"), zeros: 1, "'a'", "F4"),
    header("an unknown dtype", XVERSE_E_UNSUPPORTED, one(0, 1, dtype: "F128"), zeros: 1, "'a'", "F128"),
    header("no dtype", XVERSE_E_CORRUPT, #"{"a": {"shape": [1], "data_offsets": [0, 1]}}"#, zeros: 1, "'a'", "dtype"),
    header("no shape", XVERSE_E_CORRUPT, #"{"a": {"dtype": "U8", "data_offsets": [0, 1]}}"#, zeros: 1, "'a'", "shape"),
    header("no offsets", XVERSE_E_CORRUPT, #"{"a": {"dtype": "U8", "shape": [1]}}"#, zeros: 1, "'a'", "data_offsets"),
    header("a tensor that is a number", XVERSE_E_CORRUPT, #"{"a": 1}"#, "'a'", "a number"),
    header(
      "a name that steers a terminal", XVERSE_E_CORRUPT, #"{"\n\u009b2J\u202e": 1}"#, #"\u{a}\u{9b}2J\u{202e}"#),
  ]
}
