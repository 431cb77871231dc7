// BadDirectory+Configuration.swift -- config.json and generation_config.json as they should not be.

import CXverse
import Foundation
import Testing

extension BadDirectory {
  private static func configuration(
    _ status: Int, _ key: String, _ value: Any, _ words: String...
  ) -> BadDirectory {
    nonisolated(unsafe) let value = value
    return BadDirectory(name: "\(key) \(value)", status: status, words: ["config.json", "'\(key)'"] + words) {
      try $0.edit("config.json", [key: value])
    }
  }

  /// A member of a quantization of the library's own.
  private static func quantization(_ status: Int, _ key: String, _ value: Any, _ words: String...) -> BadDirectory {
    nonisolated(unsafe) let value = value
    return BadDirectory(
      name: "quantization_config.\(key) \(value)", status: status,
      words: ["config.json", "'quantization_config.\(key)'"] + words
    ) {
      try $0.edit("config.json", ["quantization_config": ["quant_method": "xverse", key: value] as [String: Any]])
    }
  }

  private static func configurationText(
    _ name: String, _ status: Int, _ text: String, _ words: String...
  ) -> BadDirectory {
    BadDirectory(name: name, status: status, words: ["config.json"] + words) { try $0.write("config.json", text) }
  }

  static let configurations: [BadDirectory] = [
    configuration(XVERSE_E_CORRUPT, "num_attention_heads", 7, "7", "32"),
    configuration(XVERSE_E_CORRUPT, "num_key_value_heads", 3, "3", "4"),
    configuration(XVERSE_E_CORRUPT, "hidden_size", 0, "0"),
    configuration(XVERSE_E_CORRUPT, "hidden_size", -32, "-32"),
    configuration(XVERSE_E_CORRUPT, "hidden_size", "32", "\"32\""),
    configuration(XVERSE_E_CORRUPT, "hidden_size", NSNull(), "missing"),
    configuration(XVERSE_E_LIMIT, "hidden_size", 1 << 31, "2147483648"),
    configuration(XVERSE_E_LIMIT, "num_hidden_layers", 1_000_000_000, "1000000000"),
    configuration(XVERSE_E_LIMIT, "vocab_size", UInt64(1) << 63),
    configuration(XVERSE_E_LIMIT, "max_position_embeddings", Int64.max),
    configuration(XVERSE_E_CORRUPT, "vocab_size", 32.5, "32.5"),
    configuration(XVERSE_E_CORRUPT, "head_dim", 7, "even"),
    configuration(XVERSE_E_CORRUPT, "rms_norm_eps", 0),
    configuration(XVERSE_E_CORRUPT, "rms_norm_eps", "tiny", "tiny"),
    configuration(XVERSE_OK, "eos_token_id", 100_000),
    configuration(XVERSE_E_CORRUPT, "tie_word_embeddings", "yes", "yes"),
    configuration(XVERSE_E_UNSUPPORTED, "model_type", "mamba", "mamba"),
    configuration(XVERSE_E_CORRUPT, "model_type", NSNull(), "missing"),
    configuration(XVERSE_OK, "architectures", ["GPT2LMHeadModel"]),
    configuration(XVERSE_E_UNSUPPORTED, "num_experts", 8, "8"),
    configuration(XVERSE_E_UNSUPPORTED, "hidden_act", "gelu", "gelu"),
    configuration(XVERSE_E_UNSUPPORTED, "quantization_config", ["bits": 4], "quant_method"),
    configuration(XVERSE_E_UNSUPPORTED, "quantization_config", "xverse", "quant_method"),
    quantization(XVERSE_E_UNSUPPORTED, "type", "int3", "int3", "int8"),
    quantization(XVERSE_E_CORRUPT, "type", 4, "4", "string"),
    quantization(XVERSE_E_UNSUPPORTED, "group_size", 64, "64", "32"),
    configurationText("nothing in config.json", XVERSE_E_CORRUPT, "", "empty"),
    configurationText("no JSON in config.json", XVERSE_E_CORRUPT, "{\"hidden_size\": }", "byte 16"),
    configurationText("an array for config.json", XVERSE_E_CORRUPT, "[]", "object"),
    configurationText("a duplicate key", XVERSE_E_CORRUPT, "{\"a\": 1, \"a\": 2}", "'model_type' is missing"),
    configurationText("deep nesting", XVERSE_E_LIMIT, String(repeating: "[", count: 100_000), "deep"),
    configurationText("a NUL in config.json", XVERSE_E_CORRUPT, "{\"a\"\0: 1}", "byte 4"),
    configurationText(
      "1e400", XVERSE_E_CORRUPT, "{\"model_type\": \"xverse\", \"vocab_size\": 1e400}", "vocab_size", "1e400"),
    configurationText("a huge config.json", XVERSE_E_LIMIT, String(repeating: " ", count: 2 << 20), "2097152"),
    configuration(XVERSE_E_LIMIT, "hidden_size", UInt64(1) << 63, "9223372036854775808"),
    configuration(XVERSE_E_CORRUPT, "intermediate_size", 0, "0"),
    configuration(XVERSE_E_CORRUPT, "num_hidden_layers", -1, "-1"),
    configuration(XVERSE_E_CORRUPT, "num_attention_heads", 0, "0"),
    configuration(XVERSE_E_CORRUPT, "num_key_value_heads", 0, "0"),
    configuration(XVERSE_E_CORRUPT, "num_key_value_heads", 8, "8", "4"),
    configuration(XVERSE_E_LIMIT, "head_dim", 1024, "1024", "512"),
    configuration(XVERSE_E_CORRUPT, "max_position_embeddings", 0, "0"),
    configuration(XVERSE_E_CORRUPT, "rms_norm_eps", -1e-6, "-1e-06"),
    // Above 0 as a double, but not as the float that is computed with.
    configuration(XVERSE_E_CORRUPT, "rms_norm_eps", 1e-60, "1e-60"),
    configuration(XVERSE_E_CORRUPT, "rope_theta", 0, "0"),
    configuration(XVERSE_E_CORRUPT, "rope_scaling", "linear", "a string"),
    rope(XVERSE_E_UNSUPPORTED, ["rope_type": "yarn", "factor": 4], "rope_type", "yarn"),
    rope(XVERSE_E_CORRUPT, ["type": "linear"], "factor", "missing"),
    rope(XVERSE_E_CORRUPT, ["type": "linear", "factor": 0], "factor", "0"),
    rope(XVERSE_E_CORRUPT, ["type": "dynamic", "factor": "2"], "factor", "\"2\""),
    rope(XVERSE_E_CORRUPT, ["factor": 2], "rope_type", "missing"),
    configuration(XVERSE_E_UNSUPPORTED, "moe_top_k", 2, "2"),
    configuration(XVERSE_E_UNSUPPORTED, "num_shared_experts", 1, "1"),
    configuration(XVERSE_E_LIMIT, "eos_token_id", [Int](repeating: 3, count: 100_000), "1000"),
    configuration(XVERSE_OK, "bos_token_id", -2),
    configuration(XVERSE_OK, "bos_token_id", NSNull()),
    configurationText(
      "a NaN", XVERSE_E_CORRUPT, "{\"model_type\": \"xverse\", \"vocab_size\": NaN}", "'vocab_size' is NaN"),
    configurationText(
      "hidden_size 1e400", XVERSE_E_CORRUPT, "{\"model_type\": \"xverse\", \"vocab_size\": 9, \"hidden_size\": 1e400}",
      "hidden_size", "1e400"),
    configurationText("a byte order mark", XVERSE_E_CORRUPT, "\u{FEFF}{}", "byte 0"),
    configurationText(
      "deep nesting in a field", XVERSE_E_LIMIT, "{\"a\": " + String(repeating: "{\"a\":", count: 100_000), "deep"),
    configurationText("null for config.json", XVERSE_E_CORRUPT, "null", "object"),
    configurationText(
      "characters that steer a terminal", XVERSE_E_UNSUPPORTED, "{\"model_type\": \"\u{9B}2J\u{202E}\"}", "\\u{9b}2J"),
    BadDirectory(name: "a config.json of UTF-16", status: XVERSE_E_CORRUPT, words: ["config.json", "byte 0"]) {
      try $0.write("config.json", [0xFF, 0xFE] + "{}".utf16.flatMap { [UInt8($0), 0] })
    },
    BadDirectory(name: "bytes that are no UTF-8", status: XVERSE_E_CORRUPT, words: ["config.json", "UTF-8", "byte 2"]) {
      try $0.write("config.json", Array("{\"".utf8) + [0xC0, 0x80] + Array("\": 1}".utf8))
    },
    BadDirectory(name: "a config.json of 1 GB", status: XVERSE_E_LIMIT, words: ["config.json", "1073741824"]) {
      try $0.extend("config.json", to: 1 << 30)
    },
    generation("{\"top_p\": 2}", XVERSE_OK),
    generation("{\"temperature\": -1}", XVERSE_OK),
    generation("{\"temperature\": 1e400}", XVERSE_OK),
    BadDirectory(
      name: "a repetition_penalty of 0, which greedy answers need too", status: XVERSE_E_CORRUPT,
      words: ["generation_config.json", "'repetition_penalty'", "0"], isFoundByGenerationAlone: true
    ) {
      try $0.write("generation_config.json", "{\"repetition_penalty\": 0}")
    },
    generation("{\"top_k\": -1}", XVERSE_OK),
    generation("{\"eos_token_id\": [3, 2147483648]}", XVERSE_OK),
    generation("{\"eos_token_id\": \"3\"}", XVERSE_E_CORRUPT, "'eos_token_id'", "\"3\""),
    generation("{\"max_new_tokens\": 9223372036854775807}", XVERSE_OK),
    generation("[", XVERSE_E_CORRUPT, "byte 1"),
    generation("", XVERSE_E_CORRUPT, "empty"),
  ]

  private static func rope(_ status: Int, _ scaling: [String: Any], _ key: String, _ words: String...) -> BadDirectory {
    nonisolated(unsafe) let scaling = scaling
    return BadDirectory(
      name: "rope_scaling \(scaling)", status: status, words: ["config.json", "'rope_scaling.\(key)'"] + words
    ) {
      try $0.edit("config.json", ["rope_scaling": scaling])
    }
  }

  private static func generation(_ text: String, _ status: Int, _ words: String...) -> BadDirectory {
    BadDirectory(
      name: "generation_config.json \(text)", status: status, words: ["generation_config.json"] + words
    ) {
      try $0.write("generation_config.json", text)
    }
  }
}
