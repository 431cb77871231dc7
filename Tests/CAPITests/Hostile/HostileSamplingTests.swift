// HostileSamplingTests.swift -- sampling options at and beyond their ends, each with what it does.

import CXverse
import Foundation
import TestSupport
import Testing

/// Options of kind SAMPLING, with the status of setting them and, for an error, words of its message.
struct HostileSampling: Sendable, CustomTestStringConvertible {
  let json: String
  let status: Int
  let words: [String]

  var testDescription: String { "\(json.prefix(60))" }

  private init(_ json: String, _ status: Int = XVERSE_OK, _ words: String...) {
    (self.json, self.status, self.words) = (json, status, words)
  }

  private static func strings(_ count: Int) -> String { (0..<count).map { "\"\($0)\"" }.joined(separator: ",") }
  private static let biases = (0..<370).map { "\"\($0)\": -1e18" }.joined(separator: ",")

  static let all: [HostileSampling] = [
    HostileSampling(#"{"temperature": 0, "do_sample": 1}"#), HostileSampling(#"{"temperature": 1e-30}"#),
    HostileSampling(#"{"temperature": 1e30}"#),
    HostileSampling(#"{"temperature": -1}"#, XVERSE_E_RANGE, "'temperature'", "-1"),
    HostileSampling(#"{"temperature": 1e400}"#, XVERSE_E_RANGE, "'temperature'", "1e400"),
    HostileSampling(#"{"temperature": NaN}"#, XVERSE_E_PARSE, "byte 16"),
    HostileSampling(#"{"temperature": 1, "top_k": 0}"#), HostileSampling(#"{"temperature": 1, "top_k": 2147483647}"#),
    HostileSampling(#"{"top_k": -1}"#, XVERSE_E_RANGE, "'top_k'", "-1"),
    HostileSampling(#"{"top_k": 2147483648}"#, XVERSE_E_RANGE, "'top_k'", "2147483648"),
    HostileSampling(#"{"temperature": 1, "top_p": 0}"#), HostileSampling(#"{"temperature": 1, "top_p": 1e-300}"#),
    HostileSampling(#"{"top_p": 1.5}"#, XVERSE_E_RANGE, "'top_p'", "1.5"),
    HostileSampling(#"{"temperature": 1, "min_p": 1}"#), HostileSampling(#"{"min_p": 2}"#, XVERSE_E_RANGE, "'min_p'"),
    HostileSampling(#"{"temperature": 1, "typical_p": 1e-300}"#),
    HostileSampling(#"{"temperature": 1, "top_k": 1, "top_p": 0, "min_p": 1, "typical_p": 0.001}"#),
    HostileSampling(#"{"repetition_penalty": 0}"#, XVERSE_E_RANGE, "'repetition_penalty'", "0"),
    HostileSampling(#"{"seed": 9223372036854775807}"#, XVERSE_E_RANGE, "'seed'"),
    HostileSampling(#"{"seed": -1, "temperature": 1}"#), HostileSampling(#"{"seed": 0, "temperature": 1}"#),
    HostileSampling(#"{"seed": 9223372036854775808}"#, XVERSE_E_RANGE, "'seed'"),
    HostileSampling(#"{"max_new_tokens": 0}"#), HostileSampling(#"{"max_new_tokens": -1}"#, XVERSE_E_RANGE, "-1"),
    HostileSampling(#"{"deadline_ms": -1}"#, XVERSE_E_RANGE, "'deadline_ms'"),
    HostileSampling(#"{"logit_bias": {"370": 1}}"#, XVERSE_OK), HostileSampling(#"{"logit_bias": {\#(biases)}}"#),
    HostileSampling(#"{"logit_bias": {"-1": 1}}"#, XVERSE_E_RANGE, "'-1'"),
    HostileSampling(#"{"logit_bias": {"2147483648": 1}}"#, XVERSE_E_RANGE, "2147483648"),
    HostileSampling(#"{"logit_bias": {"\u009b2J": 1}}"#, XVERSE_E_RANGE, "token id"),
    HostileSampling(#"{"logit_bias": {"7": 1e400}}"#, XVERSE_E_RANGE, "token 7", "1e400"),
    HostileSampling(#"{"logit_bias": {"7": 1, "7": 2}}"#, XVERSE_E_PARSE, "duplicate key"),
    HostileSampling(#"{"stop": []}"#), HostileSampling(#"{"stop": "the world"}"#),
    HostileSampling(#"{"stop": [""]}"#, XVERSE_E_RANGE, "string 0", "0 bytes"),
    HostileSampling(#"{"stop": ["a", ""]}"#, XVERSE_E_RANGE, "string 1"),
    HostileSampling(#"{"stop": [\#(strings(100_000))]}"#, XVERSE_E_RANGE, "'stop'", "more than"),
    HostileSampling(#"{"stop": ["\#(String(repeating: "x", count: 1_000_000))"]}"#, XVERSE_E_RANGE, "1000000 bytes"),
    HostileSampling(String(repeating: "[", count: 1_000_000), XVERSE_E_LIMIT, "deep"),
  ]
}

extension ABI {
  @Suite("Hostile sampling options")
  struct HostileSamplingTests {
    @Test("options are refused when they are set, or generation works with them", arguments: HostileSampling.all)
    func options(sampling: HostileSampling) throws {
      let model = try openTinyModel()
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING, #"{"max_new_tokens": 3, "ignore_eos": 1}"#)
      let status = xverse_options_set_json(options.pointer, sampling.json, sampling.json.utf8.count)

      #expect(Int(status) == sampling.status, "\(lastMessage)")
      if sampling.status != XVERSE_OK {
        for word in sampling.words { #expect(lastMessage.contains(word), "\(lastMessage)") }
        #expect(lastMessage.utf8.count < 1000 && !lastMessage.contains("\u{9B}"))
      }
      let request = try Request(model, "the world")
      let set = xverse_request_set_options(request.pointer, options.pointer)
      guard !sampling.json.contains("{\"370\"") else { return expect(set, is: XVERSE_E_RANGE, saying: "370") }
      try check(set)
      let answer = try Session(model).generate(request)
      #expect(answer.status == XVERSE_OK, "\(answer.message)")
      #expect(answer.tokens.count == (sampling.json == #"{"max_new_tokens": 0}"# ? 0 : 3))
    }
  }
}
