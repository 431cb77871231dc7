// OptionsTests.swift -- every key of every kind: what describe says, what is accepted, what is refused in which words.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Options")
  struct OptionsTests {
    /// Strings that can be anything.
    static let paths = HeaderOptions.all.flatMap(\.entries).filter(\.isPath).map(\.key)
    static let keys = OptionKey.all
    static let numbers = keys.filter(\.isNumber)

    @Test("describe lists the keys of the header in its order, then RANGE", arguments: HeaderOptions.all)
    func describe(block: HeaderOptions) throws {
      let kind = try #require(block.kind)
      let found = OptionKey.all.filter { $0.kind == kind }.map(\.name)
      let listed = block.entries.map(\.key)
      #expect(found == listed, "not in both: \(Set(found).symmetricDifference(listed))")
      var info = xverse_option_info()
      info.size = UInt32(MemoryLayout<xverse_option_info>.size)
      for index in [Int32(found.count), -1, .max, .min] {
        expect(xverse_options_describe(Int32(kind), index, &info), is: XVERSE_E_RANGE, saying: "\(index)")
      }
    }

    @Test("a key has a sentence, and bounds, choices and a default that go with its type", arguments: keys)
    func description(key: OptionKey) {
      #expect(key.doc.count > 10 && key.doc.hasSuffix("."))
      #expect((key.choices != nil) == (key.isString && !Self.paths.contains(key.name)))
      #expect([XVERSE_OPTION_INT, XVERSE_OPTION_FLOAT, XVERSE_OPTION_STRING, XVERSE_OPTION_JSON].contains(key.type))
      let choices = key.choices?.split(separator: "|").map(String.init) ?? []
      if let choice = key.defaultChoice { #expect(choices.contains(choice)) }
      guard key.isNumber else {
        #expect(key.unit.isEmpty && key.def.isNaN)
        return
      }
      #expect(key.min < key.max)
      #expect(key.def.isNaN || (key.min...key.max).contains(key.def))
    }

    @Test("unknown kinds are INVALID", arguments: [0, -1, 8, 99, Int32.max, .min])
    func unknownKinds(kind: Int32) {
      var out: OpaquePointer?
      var info = xverse_option_info()
      info.size = UInt32(MemoryLayout<xverse_option_info>.size)
      let names = HeaderOptions.all.map(\.name).joined(separator: ", ")
      for words in ["kind is \(kind)", "XVERSE_OPTIONS_\(names)"] {
        expect(xverse_options_create(kind, &out), is: XVERSE_E_INVALID, saying: words)
        expect(xverse_options_describe(kind, 0, &info), is: XVERSE_E_INVALID, saying: words)
      }
      #expect(out == nil)
    }

    @Test("numbers are accepted up to their bounds, as integers, floats and JSON", arguments: numbers)
    func bounds(key: OptionKey) throws {
      let options = try makeOptions(key.kind)
      for value in [key.min, key.max] {
        expect(xverse_options_set_float(options.pointer, key.name, value), is: XVERSE_OK)
        if let whole = Int64(exactly: value) {
          expect(xverse_options_set_int(options.pointer, key.name, whole), is: XVERSE_OK)
          expect(set(options, "{\"\(key.name)\": \(whole)}"), is: XVERSE_OK)
        }
      }
    }

    @Test("numbers beyond their bounds are RANGE, with the bounds in the message", arguments: numbers)
    func outOfBounds(key: OptionKey) throws {
      let options = try makeOptions(key.kind)
      let isInt = key.type == XVERSE_OPTION_INT
      let words = [key.min, key.max].map { isInt ? "\(Int64($0))" : "\($0)" }
      var floats: [Double] = [-.infinity, .infinity, 1e300, -1e300]
      var ints: [Int64] = [.min]
      if isInt {
        ints += [Int64(key.min) - 1, Int64(key.max) + 1, .max]
      } else {
        floats += [key.min.nextDown, key.max.nextUp]
      }
      for value in floats {
        expect(
          xverse_options_set_float(options.pointer, key.name, value), is: XVERSE_E_RANGE,
          saying: "'\(key.name)'", words[0], words[1])
      }
      for value in ints {
        expect(
          xverse_options_set_int(options.pointer, key.name, value), is: XVERSE_E_RANGE,
          saying: "'\(key.name)'", isInt ? "\(value)" : "", words[0], words[1])
        expect(set(options, "{\"\(key.name)\": \(value)}"), is: XVERSE_E_RANGE, saying: "'\(key.name)'")
      }
      for value in ["1e400", "-1e400", "123456789012345678901234567890"] where key.max < 0x1p60 {
        expect(set(options, "{\"\(key.name)\": \(value)}"), is: XVERSE_E_RANGE, saying: "'\(key.name)'")
      }
    }

    @Test("NaN is no value of any number", arguments: numbers)
    func notANumber(key: OptionKey) throws {
      let options = try makeOptions(key.kind)
      expect(
        xverse_options_set_float(options.pointer, key.name, .nan), is: XVERSE_E_RANGE, saying: "'\(key.name)'", "nan")
    }

    @Test("a fraction for an integer is INVALID", arguments: numbers.filter { $0.type == XVERSE_OPTION_INT })
    func fraction(key: OptionKey) throws {
      let options = try makeOptions(key.kind)
      let value = key.min + 0.5
      expect(
        xverse_options_set_float(options.pointer, key.name, value), is: XVERSE_E_INVALID,
        saying: "'\(key.name)'", "\(value)", "integer")
    }

    @Test(
      "strings are one of their choices; anything else is RANGE with the choices",
      arguments: keys.filter { $0.choices != nil })
    func choices(key: OptionKey) throws {
      let options = try makeOptions(key.kind)
      let choices = (key.choices ?? "").split(separator: "|").map { $0.hasSuffix(":") ? $0 + "2.5" : String($0) }
      for choice in choices {
        expect(xverse_options_set_string(options.pointer, key.name, choice, Int(bitPattern: .max)), is: XVERSE_OK)
        expect(set(options, "{\"\(key.name)\": \"\(choice)\"}"), is: XVERSE_OK)
      }
      let long = String(repeating: "x", count: 1_000_000)
      let first = choices.first ?? ""
      for wrong in ["", "?", first + "x", first + "\0", long, "linear:", "linear:0.5", "dynamic:nan", "linear:inf"] {
        expect(
          xverse_options_set_string(options.pointer, key.name, wrong, wrong.utf8.count), is: XVERSE_E_RANGE,
          saying: "'\(key.name)'", choices[0])
        #expect(lastMessage.utf8.count < 1000)
      }
    }

    @Test("a path can be any string as long as a path can be", arguments: keys.filter { paths.contains($0.name) })
    func anyString(key: OptionKey) throws {
      let options = try makeOptions(key.kind)
      for value in ["", "a.txt", "/nowhere/\u{4F60}", String(repeating: "x", count: 4096)] {
        expect(xverse_options_set_string(options.pointer, key.name, value, value.utf8.count), is: XVERSE_OK)
        expect(set(options, "{\"\(key.name)\": \"\(value)\"}"), is: XVERSE_OK)
      }
      for value in [4097, 1_000_000].map({ String(repeating: "x", count: $0) }) {
        expect(
          xverse_options_set_string(options.pointer, key.name, value, value.utf8.count), is: XVERSE_E_RANGE,
          saying: "'\(key.name)'", "4096 bytes")
        expect(set(options, "{\"\(key.name)\": \"\(value)\"}"), is: XVERSE_E_RANGE, saying: "4096 bytes")
        #expect(lastMessage.utf8.count < 1000)
      }
    }

    @Test("a factor with something behind it is RANGE, however far behind")
    func factorWithTail() throws {
      let options = try makeOptions(XVERSE_OPTIONS_MODEL)
      let value = "linear:2." + String(repeating: "0", count: 5000) + "x"
      expect(
        xverse_options_set_string(options.pointer, "rope_scaling", value, value.utf8.count), is: XVERSE_E_RANGE,
        saying: "'rope_scaling'")
    }

    @Test("values of a wrong type are INVALID", arguments: keys)
    func wrongTypes(key: OptionKey) throws {
      let options = try makeOptions(key.kind)
      func set(_ text: String) -> xverse_status {
        xverse_options_set_string(options.pointer, key.name, text, text.utf8.count)
      }
      if key.isNumber {
        expect(set("1"), is: XVERSE_E_INVALID, saying: "'\(key.name)'")
      } else {
        expect(
          xverse_options_set_int(options.pointer, key.name, 1), is: XVERSE_E_INVALID, saying: "'\(key.name)'")
        expect(
          xverse_options_set_float(options.pointer, key.name, 1), is: XVERSE_E_INVALID, saying: "'\(key.name)'")
      }
      for value in ["null", "[1]", "{\"a\": 1}"] where !(key.type == XVERSE_OPTION_JSON) {
        expect(
          self.set(options, "{\"\(key.name)\": \(value)}"), is: XVERSE_E_INVALID, saying: "'\(key.name)'")
      }
    }

    @Test("an unknown key is INVALID and the nearest one is named")
    func unknownKeys() throws {
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      expect(
        xverse_options_set_float(options.pointer, "temprature", 1), is: XVERSE_E_INVALID,
        saying: "'temprature'", "'temperature'")
      expect(xverse_options_set_int(options.pointer, "top-k", 1), is: XVERSE_E_INVALID, saying: "'top_k'")
      expect(set(options, #"{"max_tokens": 1}"#), is: XVERSE_E_INVALID, saying: "max_tokens")
      expect(
        xverse_options_set_string(options.pointer, "zzzzzzzz", "", 0), is: XVERSE_E_INVALID, saying: "zzzzzzzz",
        "temperature", "top_p")
      expect(xverse_options_set_int(options.pointer, "", 1), is: XVERSE_E_INVALID)
      expect(
        xverse_options_set_int(options.pointer, "threads", 1), is: XVERSE_E_INVALID, saying: "threads", "SAMPLING")
    }

    @Test("a huge key is refused in few words", arguments: ["k", "\u{301}", "e\u{301}", "\u{0}"])
    func hugeKeys(part: String) throws {
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      let key = String(repeating: part, count: 300_000)
      expect(xverse_options_set_int(options.pointer, key, 1), is: XVERSE_E_INVALID)
      #expect(lastMessage.utf8.count < 1000)
      if part != "\0" { expect(set(options, "{\"\(key)\": 1}"), is: XVERSE_E_INVALID) }
      #expect(lastMessage.utf8.count < 1000)
    }

    @Test("set_json with one wrong member changes nothing")
    func setJSONIsAtomic() throws {
      let model = try openTinyModel()
      let session = try Session(model)
      let request = try Request(model, "abc")
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING, #"{"max_new_tokens": 5, "ignore_eos": true}"#)
      for wrong in [#""top_k": -1"#, #""nothing": 1"#, #""stop": 5"#, #""temperature": "hot""#] {
        #expect(set(options, "{\"max_new_tokens\": 2, \(wrong), \"logprobs\": 1}") < 0)
      }
      try check(xverse_request_set_options(request.pointer, options.pointer))
      let answer = session.generate(request)
      #expect(answer.tokens.count == 5)
      #expect(answer.logprobs == nil)
    }

    @Test(
      "what is not JSON is PARSE with the place",
      arguments: [
        (#"{"temperature": }"#, 16), ("", 0), ("{", 1), (#"{"top_k": 1} x"#, 13), (#"{"top_k": 01}"#, 11),
        ("{\"top_k\": 1, \"top_k\": 2}", nil), ("\u{FEFF}{}", 0),
      ])
    func notJSON(text: String, offset: Int?) throws {
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      expect(set(options, text), is: XVERSE_E_PARSE, saying: "options")
      if let offset { #expect(xverse_last_error_offset() == offset, "\(lastMessage)") }
      #expect(xverse_last_error_offset() >= 0)
    }

    @Test("JSON other than an object is INVALID, and nesting has its limit")
    func otherJSON() throws {
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      for text in ["[]", "1", "\"a\"", "null"] { expect(set(options, text), is: XVERSE_E_INVALID, saying: "object") }
      let nested = String(repeating: "[", count: 100_000)
      for text in [nested, "{\"stop\": \(nested)"] { expect(set(options, text), is: XVERSE_E_LIMIT, saying: "deep") }
      let invalid: [UInt8] = Array("{\"stop\": \"".utf8) + [0xFF] + Array("\"}".utf8)
      let status = invalid.withUnsafeBytes {
        xverse_options_set_json(options.pointer, $0.bindMemory(to: CChar.self).baseAddress, $0.count)
      }
      expect(status, is: XVERSE_E_PARSE)
      #expect(xverse_last_error_offset() == 10)
    }

    @Test("stop takes JSON through set_string and set_json, and says what is wrong with it")
    func stopStrings() throws {
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      let many = "[" + (0..<100_000).map { "\"s\($0)\"" }.joined(separator: ",") + "]"
      let long = "[\"" + String(repeating: "a", count: 4097) + "\"]"
      let cases: [(String, Int, String)] = [
        ("[]", XVERSE_OK, ""), (#"["a", "\n\n"]"#, XVERSE_OK, ""), (#"["\u0000"]"#, XVERSE_OK, ""),
        (#"[""]"#, XVERSE_E_RANGE, "0 bytes"), (long, XVERSE_E_RANGE, "4097"), (many, XVERSE_E_RANGE, "256"),
        (#"["a", 5]"#, XVERSE_E_INVALID, "element 1"), ("{}", XVERSE_E_INVALID, "array"),
        ("7", XVERSE_E_INVALID, "array"), (#"["a""#, XVERSE_E_PARSE, "stop"), ("", XVERSE_E_PARSE, "stop"),
      ]
      for (value, status, words) in cases {
        expect(
          xverse_options_set_string(options.pointer, "stop", value, value.utf8.count), is: status, saying: words)
        guard status != XVERSE_E_PARSE else { continue }
        expect(set(options, "{\"stop\": \(value)}"), is: status, saying: words)
      }
      expect(xverse_options_set_string(options.pointer, "stop", "[1 2]", 5), is: XVERSE_E_PARSE)
      #expect(xverse_last_error_offset() == 3)
    }

    @Test("logit_bias takes an object of ids and finite numbers")
    func logitBias() throws {
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      let cases: [(String, Int, String)] = [
        ("{}", XVERSE_OK, ""), (#"{"5": -100, "6": 1.5}"#, XVERSE_OK, ""),
        (#"{"-1": 1}"#, XVERSE_E_RANGE, "-1"), (#"{"a": 1}"#, XVERSE_E_RANGE, "'a'"),
        (#"{"2147483648": 1}"#, XVERSE_E_RANGE, "2147483648"), (#"{"5": 1e400}"#, XVERSE_E_RANGE, "5"),
        (#"{"5": "1"}"#, XVERSE_E_RANGE, "5"), (#"{"": 1}"#, XVERSE_E_RANGE, "''"),
        ("[]", XVERSE_E_INVALID, "object"), (#"{"5" 1}"#, XVERSE_E_PARSE, "logit_bias"),
      ]
      for (value, status, words) in cases {
        expect(
          xverse_options_set_string(options.pointer, "logit_bias", value, value.utf8.count), is: status,
          saying: words)
      }
    }

    @Test("a logit_bias id outside the vocabulary is RANGE when the model is known")
    func logitBiasOfUnknownToken() throws {
      let model = try openTinyModel()
      let count = try info(of: model).n_vocab
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING, "{\"logit_bias\": {\"\(count)\": 1}}")
      let request = try Request(model, "a")
      var sampler: OpaquePointer?
      expect(
        xverse_request_set_options(request.pointer, options.pointer), is: XVERSE_E_RANGE, saying: "\(count)",
        "\(count - 1)")
      expect(xverse_sampler_create(model.pointer, options.pointer, &sampler), is: XVERSE_E_RANGE, saying: "\(count)")
      #expect(sampler == nil)
    }

    @Test("options of another kind are INVALID wherever options are taken")
    func wrongKinds() throws {
      let directory = try ModelDirectory()
      let model = try openModel(directory.path)
      let request = try Request(model, "a")
      for kind in HeaderOptions.all.compactMap(\.kind) {
        let options = try makeOptions(kind)
        let calls: [(Int, (UnsafeMutablePointer<OpaquePointer?>) -> xverse_status)] = [
          (XVERSE_OPTIONS_RUNTIME, { xverse_runtime_create(options.pointer, nil, $0) }),
          (XVERSE_OPTIONS_MODEL, { xverse_model_open(directory.path, options.pointer, $0) }),
          (XVERSE_OPTIONS_SESSION, { xverse_session_create(model.pointer, options.pointer, $0) }),
          (XVERSE_OPTIONS_SAMPLING, { xverse_sampler_create(model.pointer, options.pointer, $0) }),
          (XVERSE_OPTIONS_SAMPLING, { _ in xverse_request_set_options(request.pointer, options.pointer) }),
          (
            XVERSE_OPTIONS_CONVERT,
            { _ in xverse_convert(nil, directory.path, directory.path + "/new", options.pointer, nil, nil, nil) }
          ),
          (
            XVERSE_OPTIONS_SCORE,
            { _ in
              var value = 0.0
              return xverse_model_perplexity(
                model.pointer, "abcd", 4, options.pointer, nil, nil, nil, &value, nil)
            }
          ),
        ]
        for (expected, call) in calls where expected != kind {
          var out: OpaquePointer?
          expect(call(&out), is: XVERSE_E_INVALID, saying: "is of kind", "expected")
          #expect(out == nil)
        }
      }
    }

    private func set(_ options: Handle, _ json: String) -> xverse_status {
      xverse_options_set_json(options.pointer, json, json.utf8.count)
    }
  }
}

/// What xverse_options_describe says of a key.
struct OptionKey: Sendable, CustomTestStringConvertible {
  let kind, type: Int
  let index: Int32
  let name, doc, unit: String
  let choices, defaultChoice: String?
  let min, max, def: Double

  var isNumber: Bool { type == XVERSE_OPTION_INT || type == XVERSE_OPTION_FLOAT }
  var isString: Bool { type == XVERSE_OPTION_STRING }
  var testDescription: String { name }

  static let all = (0..<10).flatMap { kind in
    (0..<100).lazy.map { OptionKey(kind, Int32($0)) }.prefix { $0 != nil }.compactMap { $0 }
  }

  private init?(_ kind: Int, _ index: Int32) {
    var info = xverse_option_info()
    info.size = UInt32(MemoryLayout<xverse_option_info>.size)
    guard xverse_options_describe(Int32(kind), index, &info) == 0, let key = info.key, let doc = info.doc,
      let unit = info.unit
    else { return nil }
    self.kind = kind
    self.index = index
    type = Int(info.type)
    name = String(cString: key)
    self.doc = String(cString: doc)
    self.unit = String(cString: unit)
    choices = info.choices.map { String(cString: $0) }
    defaultChoice = info.def_choice.map { String(cString: $0) }
    (min, max, def) = (info.min, info.max, info.def)
  }
}
