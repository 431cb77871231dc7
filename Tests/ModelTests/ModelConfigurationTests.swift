// ModelConfigurationTests.swift -- config.json: real ones, defaults, and every value that cannot be.

import TestSupport
import Testing
import XverseCore
import XverseFormats

@testable import XverseModels

@Suite("ModelConfiguration")
struct ModelConfigurationTests {
  /// The fields without a default, of a small model.
  private static let required: KeyValuePairs = [
    "model_type": "\"xverse\"", "vocab_size": "512", "hidden_size": "64", "intermediate_size": "172",
    "num_hidden_layers": "5", "num_attention_heads": "8", "max_position_embeddings": "256",
  ]

  @Test("reads the config.json of XVERSE-7B, which leaves much to the defaults")
  func reads7B() throws {
    let configuration = try parse(
      """
      {"architectures": ["XverseForCausalLM"], "auto_map": {"AutoConfig": "configuration_xverse.XverseConfig"},
       "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 11008,
       "max_position_embeddings": 8192, "max_tokenizer_truncation": 6144, "model_type": "xverse",
       "num_attention_heads": 32, "num_hidden_layers": 32, "rms_norm_eps": 1e-06, "tie_word_embeddings": false,
       "torch_dtype": "bfloat16", "transformers_version": "4.30.2", "use_cache": true, "vocab_size": 100534}
      """)

    #expect(configuration.modelType == "xverse")
    #expect(configuration.architecture == "XverseForCausalLM")
    #expect(configuration.vocabularySize == 100_534)
    #expect(configuration.hiddenSize == 4096)
    #expect(configuration.intermediateSize == 11_008)
    #expect(configuration.layerCount == 32)
    #expect(configuration.headCount == 32)
    #expect(configuration.kvHeadCount == 32)
    #expect(configuration.headSize == 128)
    #expect(configuration.maximumPositions == 8192)
    #expect(configuration.maximumTokenizerTruncation == 6144)
    #expect(configuration.rmsNormEpsilon == 1e-6)
    #expect(configuration.ropeTheta == 10_000)
    #expect(configuration.ropeScaling == .none)
    #expect(!configuration.tieWordEmbeddings)
    #expect(configuration.padToken == 1)
    #expect(configuration.bosToken == 2)
    #expect(configuration.eosTokens == [3])
    #expect(configuration.parameterCount == 7_299_846_144)
  }

  @Test(
    "counts the parameters that were published",
    arguments: [
      (5120, 13_824, 40, 40, 13_717_652_480), (8192, 22_016, 80, 64, 66_408_521_728),
    ])
  func countsParameters(hidden: Int, intermediate: Int, layers: Int, heads: Int, expected: Int) throws {
    let configuration = try parse(
      with: ("vocab_size", "100534"), ("hidden_size", "\(hidden)"), ("intermediate_size", "\(intermediate)"),
      ("num_hidden_layers", "\(layers)"), ("num_attention_heads", "\(heads)"))

    #expect(configuration.parameterCount == expected)
  }

  @Test("counts shared heads, a head size of its own and tied embeddings")
  func countsUnusualParameters() throws {
    let configuration = try parse(
      with: ("num_key_value_heads", "2"), ("head_dim", "16"), ("tie_word_embeddings", "true"))

    #expect(configuration.kvHeadCount == 2)
    #expect(configuration.headSize == 16)
    let attention = 64 * (8 * 16) + 2 * 64 * (2 * 16) + (8 * 16) * 64
    #expect(configuration.parameterCount == 512 * 64 + 5 * (attention + 3 * 64 * 172 + 2 * 64) + 64)
  }

  @Test("takes null for absent, but for tokens as none")
  func takesNull() throws {
    let configuration = try parse(
      with: ("num_key_value_heads", "null"), ("head_dim", "null"), ("rope_theta", "null"), ("rope_scaling", "null"),
      ("rope_parameters", "null"), ("rms_norm_eps", "null"), ("hidden_act", "null"), ("attention_bias", "null"),
      ("max_tokenizer_truncation", "null"), ("num_experts", "null"), ("architectures", "null"),
      ("pad_token_id", "null"), ("bos_token_id", "null"), ("eos_token_id", "null"))

    #expect(configuration.kvHeadCount == 8)
    #expect(configuration.headSize == 8)
    #expect(configuration.ropeTheta == 10_000)
    #expect(configuration.ropeScaling == .none)
    #expect(configuration.rmsNormEpsilon == 1e-6)
    #expect(configuration.maximumTokenizerTruncation == 256)
    #expect(configuration.architecture == "XverseForCausalLM")
    #expect(configuration.padToken == nil)
    #expect(configuration.bosToken == nil)
    #expect(configuration.eosTokens == [])
  }

  @Test("takes one end token or several, and -1 as none")
  func takesTokens() throws {
    #expect(try parse(with: ("eos_token_id", "7")).eosTokens == [7])
    #expect(try parse(with: ("eos_token_id", "[7, 511, 0]")).eosTokens == [7, 511, 0])
    #expect(try parse(with: ("eos_token_id", "[]")).eosTokens == [])
    #expect(try parse(with: ("pad_token_id", "-1"), ("bos_token_id", "0")).padToken == nil)
    #expect(try parse(with: ("vocab_size", "2")).eosTokens == [])
  }

  @Test("takes LLaMA models with LLaMA's defaults")
  func takesLLaMA() throws {
    let configuration = try parse(
      with: ("model_type", "\"llama\""), ("architectures", "[\"LlamaForCausalLM\"]"), ("attention_bias", "false"),
      ("mlp_bias", "false"))

    #expect(configuration.modelType == "llama")
    #expect(configuration.architecture == "LlamaForCausalLM")
    #expect(configuration.padToken == nil)
    #expect(configuration.bosToken == 1)
    #expect(configuration.eosTokens == [2])
  }

  @Test(
    "reads RoPE in the spellings of old and new checkpoints",
    arguments: [
      ("\"rope_theta\": 500000", 500_000, .none),
      ("\"rope_theta\": 5e5, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}", 500_000, .linear(factor: 4)),
      ("\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0}", 10_000, .dynamic(factor: 2)),
      ("\"rope_scaling\": {\"rope_type\": \"default\"}", 10_000, .none),
      ("\"rope_scaling\": {}", 10_000, .none),
      ("\"rope_parameters\": {\"rope_theta\": 7.5, \"rope_type\": \"default\"}", 7.5, .none),
      (
        "\"rope_parameters\": {\"rope_theta\": 1e6, \"rope_type\": \"dynamic\", \"factor\": 2}", 1e6,
        .dynamic(factor: 2)
      ),
      ("\"rope_theta\": 2e4, \"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 1}", 2e4, .linear(factor: 1)),
      ("\"rope_theta\": 20000, \"rope_parameters\": {\"rope_theta\": 30000}", 30_000, .none),
      ("\"rope_scaling\": {\"rope_type\": \"linear\", \"type\": \"yarn\", \"factor\": 3}", 10_000, .linear(factor: 3)),
      ("\"rope_parameters\": {\"partial_rotary_factor\": 1.0}", 10_000, .none),
    ] as [(String, Double, ModelConfiguration.RoPEScaling)])
  func readsRoPE(fields: String, theta: Double, scaling: ModelConfiguration.RoPEScaling) throws {
    let configuration = try parse(Self.text(extra: fields))

    #expect(configuration.ropeTheta == theta)
    #expect(configuration.ropeScaling == scaling)
  }

  @Test(
    "rejects a size that cannot be, naming field, value and expectation",
    arguments: [
      ("0", .corrupt, "an integer from 1 to 1048576"), ("-64", .corrupt, "an integer from 1 to 1048576"),
      ("\"5120\"", .corrupt, "an integer from 1 to 1048576"), ("5120.5", .corrupt, "an integer from 1 to 1048576"),
      ("true", .corrupt, "an integer from 1 to 1048576"), ("[64]", .corrupt, "an integer from 1 to 1048576"),
      ("1e400", .corrupt, "an integer from 1 to 1048576"), ("2147483648", .limit, "at most 1048576"),
      ("9223372036854775808", .limit, "at most 1048576"), ("18446744073709551616", .limit, "at most 1048576"),
    ] as [(String, XverseError.Code, String)])
  func rejectsHiddenSize(value: String, code: XverseError.Code, expected: String) {
    let error = #expect(throws: XverseError.self) { try parse(with: ("hidden_size", value)) }

    #expect(error?.code == code)
    #expect(error?.message == "config.json: 'hidden_size' is \(value), expected \(expected)")
    #expect((error?.offset ?? -1) > 0)
  }

  @Test(
    "limits every size, so that no product of sizes passes Int",
    arguments: [
      ("vocab_size", 1 << 24), ("intermediate_size", 1 << 22), ("num_hidden_layers", 1000),
      ("num_attention_heads", 4096), ("num_key_value_heads", 4096), ("head_dim", 512),
      ("max_position_embeddings", 1 << 24),
    ])
  func limitsSizes(key: String, limit: Int) {
    let above = #expect(throws: XverseError.self) { try parse(with: (key, "\(limit + 1)")) }
    let billion = #expect(throws: XverseError.self) { try parse(with: (key, "1000000000")) }
    let zero = #expect(throws: XverseError.self) { try parse(with: (key, "0")) }

    #expect(above?.code == .limit)
    #expect(above?.message == "config.json: '\(key)' is \(limit + 1), expected at most \(limit)")
    #expect(billion?.code == .limit)
    #expect(zero?.code == .corrupt)
    #expect(zero?.message == "config.json: '\(key)' is 0, expected an integer from 1 to \(limit)")
  }

  @Test("computes with the largest sizes at once without overflow")
  func takesLargestSizes() throws {
    let configuration = try parse(
      with: ("vocab_size", "16777216"), ("hidden_size", "1048576"), ("intermediate_size", "4194304"),
      ("num_hidden_layers", "1000"), ("num_attention_heads", "4096"), ("head_dim", "512"))

    #expect(configuration.parameterCount > 1 << 53)
    #expect(configuration.parameterCount < 1 << 56)
  }

  @Test("rejects a missing field", arguments: Self.required.map { $0.key })
  func rejectsMissing(key: String) {
    let fields = Self.required.filter { $0.key != key }.map { "\"\($0.key)\": \($0.value)" }

    let error = #expect(throws: XverseError.self) { try parse("{\(fields.joined(separator: ","))}") }

    #expect(error?.code == .corrupt)
    #expect(error?.message.hasPrefix("config.json: '\(key)' is missing, expected ") == true)
  }

  @Test(
    "rejects heads that do not fit",
    arguments: [
      ("num_attention_heads", "7", "a divisor of hidden_size 64"),
      ("num_key_value_heads", "3", "a divisor of num_attention_heads 8"),
      ("num_key_value_heads", "16", "a divisor of num_attention_heads 8"),
      ("head_dim", "7", "heads of an even size, which RoPE needs, not of 7"),
      ("num_attention_heads", "64", "heads of an even size, which RoPE needs, not of 1"),
    ])
  func rejectsHeads(key: String, value: String, expected: String) {
    let error = #expect(throws: XverseError.self) { try parse(with: (key, value)) }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "config.json: '\(key)' is \(value), expected \(expected)")
  }

  @Test("limits the size of heads that follows from the others")
  func limitsImpliedHeadSize() {
    let error = #expect(throws: XverseError.self) { try parse(with: ("hidden_size", "8192")) }

    #expect(error?.code == .limit)
    #expect(
      error?.message == "config.json: 'num_attention_heads' is 8, expected heads of at most 512, not of 1024")
  }

  @Test(
    "rejects numbers that are none, or not above zero",
    arguments: [
      ("rms_norm_eps", ", at most 1", ["0", "-1e-6", "1e-300", "2", "\"NaN\"", "1e400", "false"]),
      ("rope_theta", "", ["0", "-1", "1e400", "\"10000\"", "[]"]),
    ])
  func rejectsNumbers(key: String, bound: String, values: [String]) {
    for value in values {
      let error = #expect(throws: XverseError.self) { try parse(with: (key, value)) }
      #expect(error?.code == .corrupt)
      #expect(error?.message == "config.json: '\(key)' is \(value), expected a number above 0\(bound)")
    }
  }

  @Test(
    "rejects what needs other mathematics, naming it",
    arguments: [
      ("model_type", "\"mixtral\"", "\"xverse\" or \"llama\""),
      ("num_experts", "64", "no such field: mixtures of experts are not supported"),
      ("moe_top_k", "6", "no such field: mixtures of experts are not supported"),
      ("num_shared_experts", "\"2\"", "no such field: mixtures of experts are not supported"),
      ("quantization_config", "{\"bits\": 4}", "no such field, or \"quant_method\": \"xverse\" or \"gptq\""),
      (
        "quantization_config", "{\"quant_method\": \"awq\"}",
        "no such field, or \"quant_method\": \"xverse\" or \"gptq\""
      ),
      ("quantization_config", "{\"quant_method\": 7}", "no such field, or \"quant_method\": \"xverse\" or \"gptq\""),
      ("quantization_config", "\"xverse\"", "no such field, or \"quant_method\": \"xverse\" or \"gptq\""),
      ("quantization_config", "[]", "no such field, or \"quant_method\": \"xverse\" or \"gptq\""),
      ("hidden_act", "\"gelu\"", "\"silu\""), ("attention_bias", "true", "false"), ("mlp_bias", "true", "false"),
      ("partial_rotary_factor", "0.5", "1"),
    ])
  func rejectsOtherMathematics(key: String, value: String, expected: String) {
    let error = #expect(throws: XverseError.self) { try parse(with: (key, value)) }

    #expect(error == .unsupported("config.json: '\(key)' is \(value), expected \(expected)"))
  }

  @Test(
    "takes this library's own quantization",
    arguments: [#", "type": "int4", "group_size": 32"#, #", "type": "int4_f16""#, ""])
  func takesOwnQuantization(members: String) throws {
    _ = try parse(with: ("quantization_config", #"{"quant_method": "xverse", "layout": 2\#(members)}"#))
  }

  @Test(
    "rejects a quantization of its own that it does not know",
    arguments: [
      (
        #""type": "int2""#, XverseError.Code.unsupported,
        #"'quantization_config.type' is "int2", expected "int8", "int4", "int4_f16" or"#
      ),
      (
        #""type": """#, .unsupported,
        #"'quantization_config.type' is "", expected "int8", "int4", "int4_f16" or "mixed""#
      ),
      (#""type": 4"#, .corrupt, "'quantization_config.type' is 4, expected a string"),
      (
        #""layout": 1"#, .unsupported,
        #"'quantization_config' is {"quant_method": "xverse", "layout": 1}, expected "layout": 2"#
      ),
      (
        #""type": "int8""#, .unsupported,
        #"'quantization_config' is {"quant_method": "xverse", "type": "int8..., expected "layout": 2"#
      ),
      (#""group_size": 64"#, .unsupported, "'quantization_config.group_size' is 64, expected 32"),
      (#""group_size": "32""#, .unsupported, #"'quantization_config.group_size' is "32", expected 32"#),
      (#""group_size": -1e400"#, .unsupported, "'quantization_config.group_size' is -1e400, expected 32"),
    ])
  func rejectsUnknownQuantization(member: String, code: XverseError.Code, fault: String) {
    let error = #expect(throws: XverseError.self) {
      try parse(with: ("quantization_config", #"{"quant_method": "xverse", \#(member)}"#))
    }

    #expect(error?.code == code)
    #expect(error?.message.hasPrefix("config.json: \(fault)") == true, "\(error?.message ?? "")")
  }

  @Test(
    "rejects RoPE that is not known, or half described",
    arguments: [
      ("{\"type\":\"yarn\",\"factor\":4}", .unsupported, "'rope_scaling.type' is \"yarn\""),
      ("{\"rope_type\":\"llama3\"}", .unsupported, "'rope_scaling.rope_type' is \"llama3\""),
      ("{\"rope_type\":\"longrope\"}", .unsupported, "'rope_scaling.rope_type' is \"longrope\""),
      ("{\"partial_rotary_factor\":0.25}", .unsupported, "'rope_scaling.partial_rotary_factor' is 0.25, expected 1"),
      ("{\"factor\":2}", .corrupt, "'rope_scaling.rope_type' is missing, expected \"default\", \"linear\" or "),
      ("{\"type\":\"linear\"}", .corrupt, "'rope_scaling.factor' is missing, expected a number of at least 1"),
      ("{\"type\":\"dynamic\",\"factor\":0.5}", .corrupt, "'rope_scaling.factor' is 0.5, expected a number of at "),
      ("{\"type\":\"linear\",\"factor\":\"2\"}", .corrupt, "'rope_scaling.factor' is \"2\", expected a number of "),
      ("{\"type\":\"linear\",\"factor\":1e400}", .corrupt, "'rope_scaling.factor' is 1e400"),
      ("{\"type\":7,\"factor\":2}", .corrupt, "'rope_scaling.type' is 7, expected a string"),
      ("\"linear\"", .corrupt, "'rope_scaling' is a string, expected an object"),
    ] as [(String, XverseError.Code, String)])
  func rejectsRoPEScaling(value: String, code: XverseError.Code, fault: String) {
    let error = #expect(throws: XverseError.self) { try parse(with: ("rope_scaling", value)) }

    #expect(error?.code == code)
    #expect(error?.message.hasPrefix("config.json: \(fault)") == true)
  }

  @Test("rejects dynamic RoPE for heads of two values, whose power has no value")
  func rejectsDynamicRoPEOfSmallestHeads() {
    let error = #expect(throws: XverseError.self) {
      try parse(with: ("head_dim", "2"), ("rope_scaling", "{\"type\":\"dynamic\",\"factor\":2}"))
    }

    #expect(error?.code == .unsupported)
  }

  @Test(
    "rejects what is no token",
    arguments: [
      ("pad_token_id", "9223372036854775808"), ("bos_token_id", "\"1\""), ("eos_token_id", "1.5"),
      ("eos_token_id", "{}"), ("eos_token_id", "[[3]]"), ("eos_token_id", "[null]"),
    ])
  func rejectsTokens(key: String, value: String) {
    let error = #expect(throws: XverseError.self) { try parse(with: (key, value)) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.hasPrefix("config.json: '\(key)' is ") == true)
    #expect(error?.message.hasSuffix(", expected a token below vocab_size 512") == true)
  }

  @Test(
    "takes tokens outside the vocabulary, with a warning: only using them is an error",
    arguments: [
      ("eos_token_id", "512", [512]), ("eos_token_id", "[3, 512]", [3, 512]), ("bos_token_id", "-2", []),
      ("bos_token_id", "600", [600]), ("pad_token_id", "2147483647", [2_147_483_647]),
      ("pad_token_id", "2147483648", []), ("eos_token_id", "-5", []),
    ] as [(String, String, [Int32])])
  func takesTokensBeyondVocabulary(key: String, value: String, expected: [Int32]) throws {
    let configuration = try parse(with: (key, value))

    let found =
      switch key {
      case "eos_token_id": configuration.eosTokens
      case "bos_token_id": [configuration.bosToken].compactMap(\.self)
      default: [configuration.padToken].compactMap(\.self)
      }
    #expect(found == expected)
    #expect(configuration.warnings.count == 1)
    #expect(configuration.warnings.first?.hasPrefix("config.json: '\(key)' is ") == true)
  }

  @Test("-1 stands for no token, without a warning")
  func takesNoToken() throws {
    let configuration = try parse(with: ("eos_token_id", "-1"), ("pad_token_id", "-1"))

    #expect(configuration.eosTokens == [] && configuration.padToken == nil && configuration.warnings == [])
  }

  @Test(
    "takes fields that change no answer as they are, with a warning",
    arguments: [
      ("architectures", "[\"LlamaForCausalLM\"]"), ("architectures", "[\"XverseModel\"]"), ("architectures", "[7]"),
      ("architectures", "\"XverseForCausalLM\""), ("max_tokenizer_truncation", "0"),
      ("max_tokenizer_truncation", "-1"), ("max_tokenizer_truncation", "\"x\""), ("max_tokenizer_truncation", "NaN"),
      ("attention_dropout", "NaN"), ("initializer_range", "Infinity"), ("x", "[-Infinity]"),
      ("_name_or_path", "\"\\ud83d\""), ("_name_or_path", "\"\\ude00\\ud83d x\""),
    ])
  func takesOddFields(key: String, value: String) throws {
    let configuration = try parse(with: (key, value))

    #expect(configuration.architecture == "XverseForCausalLM")
    #expect(configuration.maximumTokenizerTruncation == configuration.maximumPositions)
    #expect(!configuration.warnings.isEmpty)
    #expect(configuration.warnings.allSatisfy { $0.hasPrefix("config.json: ") })
  }

  @Test("of equal keys the last one counts, as in Python, with a warning")
  func takesDuplicateKeys() throws {
    let configuration = try parse(
      with: ("use_cache", "true"), ("vocab_size", "9"), ("use_cache", "7"), ("vocab_size", "100"))

    #expect(configuration.vocabularySize == 100)
    #expect(configuration.warnings.count == 2)
    #expect(configuration.warnings.allSatisfy { $0.contains("duplicate key") })
  }

  @Test(
    "takes other spellings of the same mathematics",
    arguments: [("hidden_act", "\"swish\""), ("num_experts", "0"), ("architectures", "[]"), ("architectures", "null")])
  func takesSpellings(key: String, value: String) throws {
    #expect(try parse(with: (key, value)).warnings == [])
  }

  @Test("rejects an endless list of end tokens")
  func limitsEndTokens() {
    let list = "[" + Array(repeating: "3", count: 1001).joined(separator: ",") + "]"

    let error = #expect(throws: XverseError.self) { try parse(with: ("eos_token_id", list)) }

    #expect(error?.code == .limit)
  }

  @Test(
    "rejects a text that is no configuration",
    arguments: [
      ("[]", .corrupt, "config.json: the text is an array, expected an object"),
      ("{", .corrupt, "config.json: expected a key in quotation marks at byte 1"),
      ("{\"rms_norm_eps\":nan}", .corrupt, "config.json: expected 'null' at byte 16"),
      (String(repeating: "[", count: 100_000), .limit, "config.json: JSON nested deeper than 128 levels at byte 128"),
    ] as [(String, XverseError.Code, String)])
  func rejectsTexts(text: String, code: XverseError.Code, message: String) {
    let error = #expect(throws: XverseError.self) { try parse(text) }

    #expect(error?.code == code)
    #expect(error?.message == message)
  }

  @Test(
    "reads the configurations of the reference models", .enabled(if: SharedData.isAvailable),
    arguments: [
      "hf-bf16", "hf-f16-sharded", "hf-f32",
    ])
  func readsReferenceModels(directory: String) throws {
    let location = try CheckpointLocation(path: SharedData.file("data/stories260k-xverse/" + directory))
    let file = try location.requiredCompanion("config.json", maximumLength: ModelConfiguration.maximumFileLength)

    let configuration = try ModelConfiguration(json: JSONDocument(file.bytes, owner: file, source: file.name))

    #expect(configuration.parameterCount == 313_280)
    #expect(configuration.headSize == 8)
    #expect(configuration.rmsNormEpsilon == 1e-5)
    #expect(configuration.eosTokens == [2])
    #expect(configuration.padToken == 0)
  }

  private func parse(_ text: String) throws -> ModelConfiguration {
    try ModelConfiguration(json: document(text, name: "config.json"))
  }

  private func parse(with fields: (String, String)...) throws -> ModelConfiguration {
    try parse(Self.text(with: fields))
  }

  /// The required fields with some values replaced or added.
  private static func text(with fields: [(String, String)] = [], extra: String? = nil) -> String {
    let kept = required.filter { field in !fields.contains { $0.0 == field.key } }
    let members = (kept.map { ($0.key, $0.value) } + fields).map { "\"\($0)\": \($1)" }
    return "{\((members + (extra.map { [$0] } ?? [])).joined(separator: ", "))}"
  }
}

/// A document of a file with this text.
func document(_ text: String, name: String) throws -> JSONDocument {
  let directory = try TemporaryDirectory()
  let file = try MappedFile(path: directory.write(name, text), mode: .read)
  return try JSONDocument(file.bytes, owner: file, source: file.name, dialect: .python)
}
