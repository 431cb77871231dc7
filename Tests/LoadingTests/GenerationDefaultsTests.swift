// GenerationDefaultsTests.swift -- generation_config.json: what it may say and what it may not.

import Testing
import XverseCore

@testable import XverseLoading

@Suite("GenerationDefaults")
struct GenerationDefaultsTests {
  @Test("reads the file of the XVERSE chat models")
  func readsChatModel() throws {
    let defaults = try parse(
      """
      {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "max_new_tokens": 2048, "do_sample": true,
       "temperature": 0.5, "top_k": 30, "top_p": 0.85, "repetition_penalty": 1.1, "transformers_version": "4.30.2"}
      """)

    var expected = GenerationDefaults()
    expected.padToken = 1
    expected.bosToken = 2
    expected.eosTokens = [3]
    expected.maxNewTokens = 2048
    expected.doSample = true
    expected.temperature = 0.5
    expected.topK = 30
    expected.topP = 0.85
    expected.repetitionPenalty = 1.1
    #expect(defaults == expected)
  }

  @Test(
    "says nothing where the file says nothing, null or something unknown",
    arguments: [
      "{}", "{\"temperature\":null,\"top_k\":null,\"do_sample\":null,\"eos_token_id\":null}",
      "{\"_from_model_config\":true,\"max_length\":\"x\"}",
    ])
  func saysNothing(text: String) throws {
    #expect(try parse(text) == GenerationDefaults())
  }

  @Test("reads the less common fields")
  func readsOtherFields() throws {
    let defaults = try parse("{\"min_p\":0.05,\"typical_p\":1.0,\"temperature\":0,\"top_k\":0,\"eos_token_id\":[3,5]}")

    #expect(defaults.minP == 0.05)
    #expect(defaults.typicalP == 1)
    #expect(defaults.temperature == 0)
    #expect(defaults.topK == 0)
    #expect(defaults.eosTokens == [3, 5])
  }

  @Test(
    "rejects values of a wrong kind or range, naming file and field",
    arguments: [
      ("do_sample", "1", "true or false"), ("temperature", "\"0.5\"", "a number of at least 0"),
      ("temperature", "-0.1", "a number of at least 0"), ("temperature", "1e400", "a number of at least 0"),
      ("top_k", "1.5", "an integer from 0 to 2147483647"), ("top_k", "-1", "an integer from 0 to 2147483647"),
      ("top_p", "1.01", "a number from 0 to 1"), ("min_p", "-0.1", "a number from 0 to 1"),
      ("typical_p", "true", "a number from 0 to 1"), ("repetition_penalty", "0", "a number above 0"),
      ("max_new_tokens", "0", "an integer from 1 to 2147483647"),
      ("eos_token_id", "100", "a token below vocab_size 100"),
      ("bos_token_id", "\"1\"", "a token below vocab_size 100"), ("pad_token_id", "-2", "a token below vocab_size 100"),
    ])
  func rejectsValues(key: String, value: String, expected: String) {
    let error = #expect(throws: XverseError.self) { try parse("{\"\(key)\":\(value)}") }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "generation_config.json: '\(key)' is \(value), expected \(expected)")
  }

  @Test("rejects counts beyond any context")
  func limitsCounts() {
    let error = #expect(throws: XverseError.self) { try parse("{\"max_new_tokens\":2147483648}") }

    #expect(error?.code == .limit)
  }

  private func parse(_ text: String) throws -> GenerationDefaults {
    try Array(text.utf8).withUnsafeBytes {
      try GenerationDefaults(json: JSONDocument($0, source: "generation_config.json"), vocabularySize: 100)
    }
  }
}
