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
      "{\"_from_model_config\":true,\"transformers_version\":\"4.30.2\",\"num_beams\":1,\"bad_words_ids\":[]}",
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

  // The values with which transformers 5 opens a file, and fails as soon as it samples.
  @Test(
    "opens with a value that cannot be used, and keeps the sentence for the generation that needs it",
    arguments: [
      ("temperature", "\"0.5\"", "a finite number of at least 0"),
      ("temperature", "-0.1", "a finite number of at least 0"),
      ("temperature", "1e400", "a finite number of at least 0"),
      ("temperature", "NaN", "a finite number of at least 0"),
      ("top_k", "1.5", "an integer from 0 to 2147483647"), ("top_k", "-1", "an integer from 0 to 2147483647"),
      ("top_k", "\"50\"", "an integer from 0 to 2147483647"), ("top_k", "NaN", "an integer from 0 to 2147483647"),
      ("top_k", "-Infinity", "an integer from 0 to 2147483647"), ("top_p", "-0.1", "a number from 0 to 1"),
      ("top_p", "-Infinity", "a number from 0 to 1"), ("top_p", "\"0.9\"", "a number from 0 to 1"),
      ("min_p", "-0.1", "a number from 0 to 1"), ("min_p", "1.5", "a number from 0 to 1"),
      ("typical_p", "true", "a number from 0 to 1"), ("typical_p", "-1", "a number from 0 to 1"),
      ("repetition_penalty", "0", "a finite number above 0"), ("repetition_penalty", "[]", "a finite number above 0"),
      ("max_new_tokens", "0", "an integer from 1 to 2147483647"),
      ("max_new_tokens", "2147483648", "an integer from 1 to 2147483647"),
    ])
  func keepsFaults(key: String, value: String, expected: String) throws {
    let defaults = try parse("{\"\(key)\":\(value)}")

    let sentence = "generation_config.json: '\(key)' is \(value), expected \(expected)"
    #expect(defaults.faults == [key: sentence])
    #expect(defaults.warnings.last == sentence + ": a generation that needs it will fail")
  }

  @Test(
    "reads values as transformers does, with a warning",
    arguments: [
      ("top_p", "1.01"), ("top_p", "NaN"), ("top_p", "Infinity"), ("top_p", "1e400"), ("typical_p", "2"),
    ])
  func readsMassAboveOne(key: String, value: String) throws {
    let defaults = try parse("{\"\(key)\":\(value)}")

    #expect((key == "top_p" ? defaults.topP : defaults.typicalP) == 1)
    #expect(defaults.faults == [:] && !defaults.warnings.isEmpty)
  }

  @Test("takes whole numbers that are written with a fraction or an exponent", arguments: ["50", "50.0", "5e1"])
  func readsWholeNumbers(value: String) throws {
    let defaults = try parse("{\"top_k\":\(value),\"max_new_tokens\":\(value),\"eos_token_id\":\(value)}")

    #expect(defaults.topK == 50 && defaults.maxNewTokens == 50 && defaults.eosTokens == [50])
    #expect(defaults.faults == [:] && defaults.warnings == [])
  }

  @Test(
    "do_sample is true where Python takes it for true, with a warning",
    arguments: [
      ("\"true\"", true), ("\"false\"", true), ("\"\"", false), ("1", true), ("0", false), ("0.0", false),
      ("NaN", true),
      ("[]", false), ("[0]", true), ("{}", false),
    ])
  func readsTruth(value: String, expected: Bool) throws {
    let defaults = try parse("{\"do_sample\":\(value)}")

    #expect(defaults.doSample == expected)
    #expect(
      defaults.warnings.last == "generation_config.json: 'do_sample' is \(value), expected true or false: "
        + "it counts as \(expected), as in Python")
  }

  @Test(
    "tokens beyond the vocabulary stay, and what is no token but for the end of a text is passed over, with a warning",
    arguments: [
      ("eos_token_id", "[3,99999]", [3, 99_999]), ("eos_token_id", "99999999999999", []),
      ("pad_token_id", "100", [100]),
      ("pad_token_id", "-5", []), ("pad_token_id", "\"1\"", []), ("bos_token_id", "\"1\"", []),
      ("bos_token_id", "{}", []),
      ("bos_token_id", "250", [250]),
    ] as [(String, String, [Int32])])
  func takesTokensBeyondVocabulary(key: String, value: String, expected: [Int32]) throws {
    let defaults = try parse("{\"\(key)\":\(value)}")

    let found =
      switch key {
      case "eos_token_id": defaults.eosTokens
      case "bos_token_id": defaults.bosToken.map { [$0] }
      default: defaults.padToken.map { [$0] }
      }
    #expect(found ?? [] == expected)
    #expect(defaults.warnings.count == 1)
  }

  @Test("rejects an end of a text that is no token", arguments: ["\"3\"", "[3,null]", "true", "1.5"])
  func rejectsEndTokens(value: String) {
    let error = #expect(throws: XverseError.self) { try parse("{\"eos_token_id\":\(value)}") }

    #expect(error?.code == .corrupt)
  }

  @Test(
    "names what is not supported in a warning",
    arguments: [
      ("num_beams", "4"), ("num_beam_groups", "3"), ("no_repeat_ngram_size", "2"), ("bad_words_ids", "[[5]]"),
      ("suppress_tokens", "[1]"), ("begin_suppress_tokens", "[1]"), ("sequence_bias", "[[[1],-2]]"),
      ("forced_eos_token_id", "2"), ("forced_bos_token_id", "0"), ("min_length", "5"), ("min_new_tokens", "5"),
      ("max_time", "3.5"), ("stop_strings", "\"a\""), ("penalty_alpha", "0.6"), ("epsilon_cutoff", "0.1"),
      ("eta_cutoff", "0.1"), ("guidance_scale", "1.5"), ("watermarking_config", "{}"), ("constraints", "[{}]"),
      ("force_words_ids", "[[1]]"), ("exponential_decay_length_penalty", "[1,2]"), ("token_healing", "true"),
      ("num_return_sequences", "3"), ("diversity_penalty", "0.5"), ("dola_layers", "\"low\""), ("top_h", "0.3"),
      ("max_length", "20"),
    ])
  func namesUnsupported(key: String, value: String) throws {
    let defaults = try parse("{\"\(key)\":\(value)}")

    #expect(defaults.warnings.count == 1)
    #expect(defaults.warnings.first?.hasPrefix("generation_config.json: '\(key)' is \(value), expected ") == true)
  }

  @Test(
    "says nothing of what is off",
    arguments: [
      "{\"num_beams\":1,\"num_return_sequences\":1,\"guidance_scale\":1.0,\"num_beam_groups\":1}",
      "{\"no_repeat_ngram_size\":0,\"bad_words_ids\":null,\"suppress_tokens\":[],\"token_healing\":false}",
      "{\"max_length\":20,\"max_new_tokens\":5}",
    ])
  func passesOverWhatIsOff(text: String) throws {
    #expect(try parse(text).warnings == [])
  }

  private func parse(_ text: String) throws -> GenerationDefaults {
    try Array(text.utf8).withUnsafeBytes {
      try GenerationDefaults(
        json: JSONDocument($0, source: "generation_config.json", dialect: .python), vocabularySize: 100)
    }
  }
}
