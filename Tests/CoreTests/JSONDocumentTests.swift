// JSONDocumentTests.swift -- what the JSON reader accepts and how it rejects the rest.

import Foundation
import Glibc
import TestSupport
import Testing
import XverseCore

@Suite("JSONDocument")
struct JSONDocumentTests {
  @Test(
    "accepts every kind of value as the whole text",
    arguments: [
      "null", "true", "false", "0", "-0", "12.5e-3", "\"\"", "[]", "{}", " \t\r\n[ 1 , 2 ] \n", "[[],{}]", "{\"\":{}}",
    ])
  func acceptsEveryKind(text: String) throws {
    _ = try parse(text)
  }

  @Test(
    "rejects a syntax fault, naming the text, the fault and its byte",
    arguments: [
      ("", "the text ends inside a value", 0),
      ("  ", "the text ends inside a value", 2),
      ("[1,", "the text ends inside a value", 3),
      ("[1 2]", "expected ',' or ']'", 3),
      ("[1,]", "expected a value", 3),
      ("[,1]", "expected a value", 1),
      ("{\"a\" 1}", "expected ':'", 5),
      ("{\"a\":1 \"b\":2}", "expected ',' or '}'", 7),
      ("{\"a\":1,}", "expected a key in quotation marks", 7),
      ("{a:1}", "expected a key in quotation marks", 1),
      ("{1:1}", "expected a key in quotation marks", 1),
      ("[1}", "expected ',' or ']'", 2),
      ("{} {}", "text after the JSON value", 3),
      ("nul", "expected 'null'", 0),
      ("trve", "expected 'true'", 0),
      ("NaN", "expected a value", 0),
      ("Infinity", "expected a value", 0),
      ("'a'", "expected a value", 0),
      ("// no\n1", "expected a value", 0),
      ("\u{FEFF}1", "expected a value", 0),
      ("-", "expected a digit", 1),
      ("+1", "expected a value", 0),
      (".5", "expected a value", 0),
      ("1.", "expected a digit", 2),
      ("1e", "expected a digit", 2),
      ("1e+", "expected a digit", 3),
      ("01", "text after the JSON value", 1),
      ("0x10", "text after the JSON value", 1),
      ("\"abc", "the text ends inside a string", 4),
      ("\"a\tb\"", "unescaped control character in a string", 2),
      ("\"\u{0}\"", "unescaped control character in a string", 1),
      ("\"\\q\"", "malformed escape sequence in a string", 1),
      ("\"\\", "malformed escape sequence in a string", 1),
      ("\"\\u12", "malformed escape sequence in a string", 1),
      ("\"\\u12G4\"", "malformed escape sequence in a string", 1),
    ])
  func rejectsSyntaxFault(text: String, fault: String, offset: Int) {
    let error = #expect(throws: XverseError.self) { try parse(text) }

    #expect(error == .corrupt("test.json: \(fault) at byte \(offset)", offset: offset))
  }

  @Test(
    "rejects half of a surrogate pair",
    arguments: [
      #""\uD800""#, #""\uDC00""#, #""\uD800\u0041""#, #""\uD800x""#, #""\uD83D\uD83D""#, #""\uDE00\uD83D""#,
      #""\uD83D\uDE0""#,
    ])
  func rejectsHalfSurrogate(text: String) {
    let error = #expect(throws: XverseError.self) { try parse(text) }

    #expect(error == .corrupt("test.json: malformed escape sequence in a string at byte 1", offset: 1))
  }

  @Test(
    "rejects bytes that are not UTF-8 at their place",
    arguments: [
      [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xE4, 0xBD],
      [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
    ] as [[UInt8]])
  func rejectsInvalidUTF8(bytes: [UInt8]) {
    let error = #expect(throws: XverseError.self) { try parse(Array("[\"ab".utf8) + bytes + Array("\"]".utf8)) }

    #expect(error == .corrupt("test.json: invalid UTF-8 in a string at byte 4", offset: 4))
  }

  @Test(
    "reads what Python writes, with a warning",
    arguments: [
      ("NaN", "NaN, which JSON does not have at byte 0"), ("Infinity", "Infinity, which JSON does not have at byte 0"),
      ("[-Infinity]", "-Infinity, which JSON does not have at byte 1"),
      ("\"\\ud83d\"", "half of a surrogate pair in a string at byte 1"),
      ("\"\\ude00\"", "half of a surrogate pair in a string at byte 1"),
      ("\"\\ud83d\\ud83d\\ude00\"", "half of a surrogate pair in a string at byte 1"),
      ("\"\\ud83dx\"", "half of a surrogate pair in a string at byte 1"),
      ("{\"a\":1,\"b\":{\"a\":3},\"\\u0061\":2}", "duplicate key '\\u0061', of which the last one counts at byte 20"),
    ])
  func readsPython(text: String, warning: String) throws {
    try Array(text.utf8).withUnsafeBytes { bytes in
      let document = try JSONDocument(bytes, source: "test.json", dialect: .python)
      #expect(document.warnings == ["test.json: \(warning)"])
      #expect(throws: XverseError.self) { try JSONDocument(bytes, source: "test.json") }
    }
  }

  @Test("the last of equal keys counts, a number that is none has no value, half of a pair is U+FFFD")
  func valuesOfPython() throws {
    let text = #"{"a": 1, "n": [NaN, -Infinity, Infinity], "s": "x\ud83d\ud83d\ude00\udc00y", "a": 2}"#
    try Array(text.utf8).withUnsafeBytes { bytes in
      let root = try JSONDocument(bytes, source: "test.json", dialect: .python).root
      #expect(root["a"]?.int == 2)
      #expect(root["s"]?.string == "x\u{FFFD}\u{1F600}\u{FFFD}y")
      for number in try #require(root["n"]).elements {
        #expect(number.kind == .number && number.double == nil && number.int == nil && number.wholeNumber == nil)
      }
    }
  }

  @Test(
    "even Python rejects what no writer makes",
    arguments: ["nan", "-NaN", "+Infinity", "Inf", "-", "'a'", "[1,]", "\u{FEFF}1", "01"])
  func rejectsMore(text: String) {
    #expect(throws: XverseError.self) {
      try Array(text.utf8).withUnsafeBytes { try JSONDocument($0, source: "test.json", dialect: .python) }
    }
  }

  @Test("tells a bounded number of oddities")
  func boundsWarnings() throws {
    let text = "[" + Array(repeating: "NaN", count: 1000).joined(separator: ",") + "]"
    try Array(text.utf8).withUnsafeBytes { bytes in
      let document = try JSONDocument(bytes, source: "test.json", dialect: .python)
      #expect(document.warnings.count == 8)
    }
  }

  @Test(
    "rejects duplicate keys, however they are spelled",
    arguments: [
      (#"{"a":1,"a":2}"#, "a", 8),
      (#"{"a":1,"b":2,"\u0061":3}"#, #"\u0061"#, 14),
      (#"{"\/":1,"/":2}"#, "/", 9),
      (#"{"\ud83d\ude00":1,"😀":2}"#, "😀", 19),
      (#"[{"x":{"":1,"":2}}]"#, "", 13),
    ])
  func rejectsDuplicateKeys(text: String, key: String, offset: Int) {
    let error = #expect(throws: XverseError.self) { try parse(text) }

    #expect(error == .corrupt("test.json: duplicate key '\(key)' at byte \(offset)", offset: offset))
  }

  @Test("keeps keys apart that only look alike: in other objects, of other Unicode normal forms")
  func keepsDistinctKeysApart() throws {
    let document = try parse("{\"a\":{\"a\":1},\"b\":{\"a\":2},\"\u{E9}\":3,\"e\u{301}\":4}")

    #expect(document.root["a"]?["a"]?.int == 1)
    #expect(document.root["b"]?["a"]?.int == 2)
    #expect(document.root["\u{E9}"]?.int == 3)
    #expect(document.root["e\u{301}"]?.int == 4)
  }

  @Test("accepts nesting of the greatest depth and rejects one level more", arguments: ["[]", "{}"])
  func limitsDepth(brackets: String) throws {
    let open = brackets == "[]" ? "[" : "{\"a\":"
    let close = brackets == "[]" ? "]" : "}"
    func nested(_ depth: Int) -> String {
      String(repeating: open, count: depth) + "0" + String(repeating: close, count: depth)
    }
    let offset = JSONDocument.maximumDepth * open.utf8.count

    _ = try parse(nested(JSONDocument.maximumDepth))
    let error = #expect(throws: XverseError.self) { try parse(nested(JSONDocument.maximumDepth + 1)) }

    #expect(error == .limit("test.json: JSON nested deeper than 128 levels at byte \(offset)", offset: offset))
  }

  @Test("rejects 100,000 open brackets without recursion", arguments: ["[", "{\"a\":", "[{\"\":"])
  func rejectsDeepNesting(opening: String) {
    let text = String(repeating: opening, count: 100_000)

    let error = #expect(throws: XverseError.self) { try parse(text) }

    #expect(error?.code == .limit)
  }

  @Test("rejects a text longer than its offsets can express, without reading it")
  func rejectsTooLongText() throws {
    let length = JSONDocument.maximumLength + 1
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let pages = try #require(mmap(nil, length, PROT_READ, flags, -1, 0))
    defer { munmap(pages, length) }

    let error = #expect(throws: XverseError.self) {
      try JSONDocument(UnsafeRawBufferPointer(start: pages, count: length), source: "test.json")
    }

    #expect(error == .limit("test.json: 1073741825 bytes of JSON, expected at most 1073741824"))
  }

  @Test("takes time and memory in proportion to a long text")
  func readsLongText() throws {
    let count = 50_000
    let allocator = MemoryAllocator()
    let text = Array(("{" + (0..<count).map { "\"key\($0)\":[\($0)]" }.joined(separator: ",") + "}").utf8)

    let document = try parse(text, allocator: allocator)

    #expect(
      document.root.members.reduce(0) { $0 + ($1.value.elements.first { _ in true }?.int ?? 0) }
        == count * (count - 1) / 2)
    // 3 nodes an entry of 16 bytes; growing keeps old and new at once, at most 3 times what is needed; 24 bytes a key.
    #expect(allocator.peak <= count * (3 * 16 * 3 + 24))
  }

  @Test("reports a fault of an argument as such")
  func usesFaultCode() {
    let error = #expect(throws: XverseError.self) { try parse("[", faultCode: .parse) }

    #expect(error == XverseError(.parse, "test.json: the text ends inside a value at byte 1", offset: 1))
  }

  @Test("holds nothing after any of its allocations failed")
  func survivesFailingAllocations() throws {
    let text = Array("[{\"a\":1,\"b\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]}]".utf8)
    let host = CountingHost()
    _ = try parse(text, allocator: MemoryAllocator(host))
    #expect(host.requestCount >= 3)

    for request in 0..<host.requestCount {
      let failing = CountingHost(failingRequest: request)
      let error = #expect(throws: XverseError.self) { try parse(text, allocator: MemoryAllocator(failing)) }
      #expect(error?.code == .outOfMemory)
      #expect(failing.blockCount == 0)
    }
  }

  @Test("accepts no mutated text that Foundation rejects", arguments: 0..<8)
  func acceptsNothingThatFoundationRejects(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let text = Array(#"{"a":[1,-2.5e3,true,null,"x\n\u00e9\ud83d\ude00"],"b":{"c":""},"d":[[],{}]}"#.utf8)
    let alphabet = Array(#"{}[]",:\0123456789eE+-.utfn "#.utf8)
    for _ in 0..<500 {
      var mutated = text
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: 0..<mutated.count, using: &random)
        mutated[place] = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      }
      let isAccepted = (try? parse(mutated)) != nil
      let options: JSONSerialization.ReadingOptions = .fragmentsAllowed
      let isJSON = (try? JSONSerialization.jsonObject(with: Data(mutated), options: options)) != nil
      // Not the other way round: Foundation accepts duplicate keys.
      #expect(!isAccepted || isJSON, "\(String(decoding: mutated, as: UTF8.self))")
    }
  }
}

extension MemoryAllocator {
  /// An allocator over the functions of `host`, which must outlive it.
  convenience init(_ host: CountingHost, limit: Int = 0) {
    self.init(
      functions: Functions(allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user),
      limit: limit)
  }
}
