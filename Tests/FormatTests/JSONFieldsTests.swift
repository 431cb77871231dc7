// JSONFieldsTests.swift -- fields with expectations, and the sentences for what does not meet them.

import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

@Suite("JSONFields")
struct JSONFieldsTests {
  @Test("gives nothing for a field that is absent or null")
  func givesNothing() throws {
    let fields = try fields("{\"a\":null}")

    #expect(try fields.integer("a", in: 0...1) == nil)
    #expect(try fields.integer("b", in: 0...1) == nil)
    #expect(try fields.bool("a") == nil)
    #expect(try fields.string("a") == nil)
    #expect(try fields.number("a", expected: "a number") { _ in true } == nil)
    #expect(try fields.object("a") == nil)
    #expect(fields.has("a"))
    #expect(!fields.has("b"))
  }

  @Test("gives what is as expected")
  func givesValues() throws {
    let fields = try fields(#"{"i":8,"n":1e-6,"b":false,"s":"x","o":{"i":3}}"#)

    #expect(try fields.integer("i", in: 8...8) == 8)
    #expect(try fields.number("n", expected: "a number") { $0 > 0 } == 1e-6)
    #expect(try fields.bool("b") == false)
    #expect(try fields.string("s") == "x")
    #expect(try fields.object("o")?.integer("i", in: 0...9) == 3)
  }

  @Test(
    "rejects an integer outside its range, as corrupt below and as a limit above",
    arguments: [
      ("0", .corrupt, "an integer from 1 to 100"), ("-5", .corrupt, "an integer from 1 to 100"),
      ("-9223372036854775809", .corrupt, "an integer from 1 to 100"), ("5.5", .corrupt, "an integer from 1 to 100"),
      ("1e400", .corrupt, "an integer from 1 to 100"), ("\"5\"", .corrupt, "an integer from 1 to 100"),
      ("true", .corrupt, "an integer from 1 to 100"), ("[5]", .corrupt, "an integer from 1 to 100"),
      ("101", .limit, "at most 100"), ("2147483648", .limit, "at most 100"),
      ("9223372036854775808", .limit, "at most 100"), ("1e300", .limit, "at most 100"),
    ] as [(String, XverseError.Code, String)])
  func rejectsIntegers(value: String, code: XverseError.Code, expected: String) throws {
    let fields = try fields("{\"size\": \(value)}")

    let error = #expect(throws: XverseError.self) { try fields.integer("size", in: 1...100) }

    let offset = value.hasPrefix("\"") ? 10 : 9
    #expect(error == XverseError(code, "test.json: 'size' is \(value), expected \(expected)", offset: offset))
  }

  @Test("rejects values of another kind", arguments: ["1", "\"1\"", "[]"])
  func rejectsOtherKinds(value: String) throws {
    let fields = try fields("{\"o\":{\"a\":\(value)}}").object("o")

    let error = #expect(throws: XverseError.self) { try fields?.bool("a") }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "test.json: 'o.a' is \(value), expected true or false")
  }

  @Test("rejects numbers that are infinite or not as expected", arguments: ["1e400", "-1", "\"1\"", "true"])
  func rejectsNumbers(value: String) throws {
    let fields = try fields("{\"a\":\(value)}")

    let error = #expect(throws: XverseError.self) { try fields.number("a", expected: "a number above 0") { $0 > 0 } }

    #expect(error?.message == "test.json: 'a' is \(value), expected a number above 0")
  }

  @Test("rejects what is no object")
  func rejectsNonObjects() throws {
    let root = #expect(throws: XverseError.self) { try fields("[1]") }
    let field = #expect(throws: XverseError.self) { try fields("{\"a\":{\"b\":7}}").object("a")?.object("b") }

    #expect(root == .corrupt("test.json: the text is an array, expected an object", offset: 0))
    #expect(field == .corrupt("test.json: 'a.b' is a number, expected an object", offset: 10))
  }

  private func fields(_ text: String) throws -> JSONFields {
    let directory = try TemporaryDirectory()
    let file = try MappedFile(path: directory.write("test.json", text), mode: .read)
    return try JSONFields(JSONDocument(file.bytes, owner: file, source: file.name).root)
  }
}
