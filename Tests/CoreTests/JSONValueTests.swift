// JSONValueTests.swift -- typed access to values that may be anything.

import Testing
import XverseCore

@Suite("JSONValue")
struct JSONValueTests {
  @Test(
    "reads integers that fit and nothing else as integers",
    arguments: [
      ("0", 0), ("-0", 0), ("-17", -17), ("9223372036854775807", .max), ("-9223372036854775808", .min),
      ("9223372036854775808", nil), ("-9223372036854775809", nil), ("1e2", nil), ("1.0", nil), ("1e400", nil),
      ("123456789012345678901234567890", nil), ("true", nil), ("\"5\"", nil), ("null", nil), ("[5]", nil),
    ] as [(String, Int?)])
  func readsIntegers(text: String, expected: Int?) throws {
    #expect(try parse(text).root.int == expected)
  }

  @Test(
    "reads finite numbers and nothing else as numbers",
    arguments: [
      ("0.1", 0.1), ("-2.5E+3", -2500), ("1e-400", 0), ("9223372036854775808", 0x1p63),
      ("1.7976931348623157e308", Double.greatestFiniteMagnitude), ("5e-324", Double.leastNonzeroMagnitude),
      ("1e400", nil), ("-1e400", nil), ("1.8e308", nil), ("\"1\"", nil), ("false", nil), ("{}", nil),
    ] as [(String, Double?)])
  func readsNumbers(text: String, expected: Double?) throws {
    #expect(try parse(text).root.double == expected)
  }

  @Test(
    "decodes escapes",
    arguments: [
      (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
      (#""\u0041\u00e9\u4f60""#, "A\u{E9}\u{4F60}"),
      (#""\uD83D\uDE00\uD834\udd1e""#, "\u{1F600}\u{1D11E}"),
      (#""\u0000""#, "\u{0}"),
      (#""\uD7FF\uE000\uFFFF""#, "\u{D7FF}\u{E000}\u{FFFF}"),
      (#""plain 你好""#, "plain 你好"),
    ])
  func decodesEscapes(text: String, expected: String) throws {
    let document = try parse(text)
    var buffer = Buffer<UInt8>()

    try document.root.stringValue?.append(to: &buffer)

    #expect(document.root.string == expected)
    #expect(document.root.stringValue?.equals(expected) == true)
    #expect(document.root.stringValue?.equals(expected + "x") == false)
    #expect(buffer.elements.elementsEqual(expected.utf8))
  }

  @Test(
    "tells the kinds apart",
    arguments: [
      ("null", .null), ("true", .bool), ("1", .number), ("\"\"", .string), (#""\n""#, .string), ("[]", .array),
      ("{}", .object),
    ] as [(String, JSONValue.Kind)])
  func tellsKinds(text: String, kind: JSONValue.Kind) throws {
    #expect(try parse(text).root.kind == kind)
  }

  @Test("walks members and elements in the order of the text, over nested values")
  func walksContainers() throws {
    let document = try parse(#"{"a":[1,[2,[3]],{"x":[4]},5],"b":{"c":{"d":6}},"e":7}"#)

    #expect(document.root.members.map { $0.key.text } == ["a", "b", "e"])
    #expect(document.root["a"]?.elements.map { $0.kind } == [.number, .array, .object, .number])
    #expect(document.root["b"]?["c"]?["d"]?.int == 6)
    #expect(document.root["e"]?.int == 7)
    #expect(document.root["missing"] == nil)
  }

  @Test("is empty where another kind is asked for its parts", arguments: ["null", "1", "\"a\"", "true"])
  func isEmptyForOtherKinds(text: String) throws {
    let value = try parse(text).root

    #expect(value.members.map { $0.value }.isEmpty)
    #expect(value.elements.map { $0 }.isEmpty)
    #expect(value["a"] == nil)
  }

  @Test("has no members as an array and no elements as an object")
  func keepsContainersApart() throws {
    #expect(try parse("[1,2]").root.members.map { $0.value }.isEmpty)
    #expect(try parse(#"{"a":1}"#).root.elements.map { $0 }.isEmpty)
  }

  @Test(
    "shows a value as it is written, cut after 40 bytes",
    arguments: [
      ("5120.50", "5120.50"), (#""a\nb""#, #""a\nb""#), ("[1, 2]", "[1, 2]"), ("true", "true"),
      ("\"" + String(repeating: "x", count: 60) + "\"", "\"" + String(repeating: "x", count: 39) + "..."),
      // What steers a terminal or breaks the line.
      ("\"\u{9B}31m\u{202E}\"", #""\u{9b}31m\u{202e}""#), ("[\n\t1]", #"[\u{a}\u{9}1]"#),
    ])
  func showsSnippet(text: String, snippet: String) throws {
    #expect(try parse(text).root.snippet == snippet)
  }

  @Test("knows where a value stands")
  func knowsOffsets() throws {
    let document = try parse(#"{"a": [10, "b"]}"#)

    #expect(document.root["a"]?.offset == 6)
    #expect(document.root["a"]?.elements.map { $0.offset } == [7, 12])
  }
}
