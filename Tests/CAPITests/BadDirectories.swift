// BadDirectories.swift -- ways to spoil a model directory, and a small writer of safetensors files for them.

import CXverse
import Foundation
import Testing

/// One way, with the status and the words of the error that must follow.
struct BadDirectory: Sendable, CustomTestStringConvertible {
  let name: String
  let status: Int
  let words: [String]
  /// Whether only xverse_model_load looks this closely.
  var isFoundByLoadAlone = false
  let spoil: @Sendable (ModelDirectory) throws -> Void

  var testDescription: String { name }

  static let all = missing + configurations + weights + tokenizers

  static let missing: [BadDirectory] = [
    BadDirectory(name: "no directory", status: XVERSE_E_NOTFOUND, words: ["xverse-test-"]) {
      try FileManager.default.removeItem(atPath: $0.path)
    },
    BadDirectory(name: "empty directory", status: XVERSE_E_NOTFOUND, words: ["config.json"]) { directory in
      for file in try FileManager.default.contentsOfDirectory(atPath: directory.path) { try directory.remove(file) }
    },
    BadDirectory(name: "no weights", status: XVERSE_E_NOTFOUND, words: ["model.safetensors"]) {
      try $0.remove("model.safetensors")
    },
    BadDirectory(name: "weights in pickles", status: XVERSE_E_UNSUPPORTED, words: ["pytorch_model.bin"]) {
      try $0.remove("model.safetensors")
      try $0.write("pytorch_model.bin", "PK")
    },
    BadDirectory(name: "no tokenizer", status: XVERSE_E_NOTFOUND, words: ["tokenizer.json"]) {
      try $0.remove("tokenizer.json")
    },
    BadDirectory(
      name: "a directory for config.json", status: XVERSE_E_UNSUPPORTED, words: ["config.json", "directory"]
    ) {
      try $0.remove("config.json")
      try FileManager.default.createDirectory(atPath: $0.file("config.json"), withIntermediateDirectories: false)
    },
  ]

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
    configuration(XVERSE_E_CORRUPT, "eos_token_id", 100_000, "100000"),
    configuration(XVERSE_E_CORRUPT, "tie_word_embeddings", "yes", "yes"),
    configuration(XVERSE_E_UNSUPPORTED, "model_type", "mamba", "mamba"),
    configuration(XVERSE_E_CORRUPT, "model_type", NSNull(), "missing"),
    configuration(XVERSE_E_UNSUPPORTED, "architectures", ["GPT2LMHeadModel"], "GPT2"),
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
    configurationText("a duplicate key", XVERSE_E_CORRUPT, "{\"a\": 1, \"a\": 2}", "'a'"),
    configurationText("deep nesting", XVERSE_E_LIMIT, String(repeating: "[", count: 100_000), "deep"),
    configurationText("a NUL in config.json", XVERSE_E_CORRUPT, "{\"a\"\0: 1}", "byte 4"),
    configurationText(
      "1e400", XVERSE_E_CORRUPT, "{\"model_type\": \"xverse\", \"vocab_size\": 1e400}", "vocab_size", "1e400"),
    configurationText("a huge config.json", XVERSE_E_LIMIT, String(repeating: " ", count: 2 << 20), "2097152"),
  ]

  private static func weights(
    _ name: String, _ status: Int, _ words: String..., isFoundByLoadAlone: Bool = false,
    change: @escaping @Sendable (SafetensorsFile) throws -> [UInt8]
  ) -> BadDirectory {
    BadDirectory(
      name: name, status: status, words: ["model.safetensors"] + words, isFoundByLoadAlone: isFoundByLoadAlone
    ) {
      try $0.write("model.safetensors", change(SafetensorsFile($0.bytes(of: "model.safetensors"))))
    }
  }

  private static func tensor(
    _ name: String, _ status: Int, _ words: String..., change: @escaping @Sendable (SafetensorsFile) -> SafetensorsFile
  ) -> BadDirectory {
    BadDirectory(name: name, status: status, words: words, isFoundByLoadAlone: true) {
      try $0.write("model.safetensors", change(SafetensorsFile($0.bytes(of: "model.safetensors"))).bytes)
    }
  }

  private static let up = "model.layers.1.mlp.up_proj.weight"

  static let weights: [BadDirectory] = [
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
    tensor("a missing tensor", XVERSE_E_CORRUPT, up, "missing", "[48, 32]") {
      $0.keeping(Set($0.names).subtracting([up]))
    },
    tensor("a transposed tensor", XVERSE_E_CORRUPT, "model.safetensors", up, "[32, 48]", "[48, 32]") {
      $0.shaping(up, [32, 48])
    },
    tensor("a flat tensor", XVERSE_E_CORRUPT, "model.safetensors", up, "[1536]", "[48, 32]") { $0.shaping(up, [1536]) },
    tensor("a missing norm", XVERSE_E_CORRUPT, "model.norm.weight", "missing", "[32]") {
      $0.keeping(Set($0.names).subtracting(["model.norm.weight"]))
    },
    tensor("integers for weights", XVERSE_E_UNSUPPORTED, "model.safetensors", up, "I32", "F32") {
      $0.typing(up, "I32")
    },
    tensor("blocks of too few rows", XVERSE_E_CORRUPT, "model.safetensors", up, "[2, 1, 288]", "[3, 1, 288]") {
      $0.blocks(up, [2, 1, 288])
    },
    tensor("blocks of too many columns", XVERSE_E_CORRUPT, "model.safetensors", up, "[3, 2, 544]", "[3, 1, 544]") {
      $0.blocks(up, [3, 2, 544])
    },
    tensor("blocks of another size", XVERSE_E_UNSUPPORTED, "model.safetensors", up, "[3, 1, 300]", "544, 288 or 304") {
      $0.blocks(up, [3, 1, 300])
    },
    tensor("blocks for a norm", XVERSE_E_CORRUPT, "model.safetensors", "model.norm.weight", "[1, 1, 288]", "[32]") {
      $0.blocks("model.norm.weight", [1, 1, 288])
    },
    tensor("no blocks at all, but many rows", XVERSE_E_CORRUPT, "model.safetensors", up, "[3, 1, 288]") {
      $0.blocks(up, [1 << 59, 0, 288])
    },
  ]

  private static func tokenizer(_ name: String, _ status: Int, _ text: String, _ words: String...) -> BadDirectory {
    BadDirectory(name: name, status: status, words: ["tokenizer.json"] + words) { try $0.write("tokenizer.json", text) }
  }

  static let tokenizers: [BadDirectory] = [
    tokenizer("an empty tokenizer.json", XVERSE_E_CORRUPT, "", "empty"),
    tokenizer("no JSON in tokenizer.json", XVERSE_E_CORRUPT, "{\"model\": ", "byte 10"),
    tokenizer("no model in tokenizer.json", XVERSE_E_CORRUPT, "{}", "model"),
    tokenizer(
      "an unknown kind of tokenizer", XVERSE_E_UNSUPPORTED,
      "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", -1]]}}", "Unigram"),
    BadDirectory(name: "a truncated tokenizer.json", status: XVERSE_E_CORRUPT, words: ["tokenizer.json", "byte"]) {
      let bytes = try $0.bytes(of: "tokenizer.json")
      try $0.write("tokenizer.json", Array(bytes.prefix(bytes.count / 2)))
    },
    BadDirectory(
      name: "more tokens than rows", status: XVERSE_E_CORRUPT, words: ["tokenizer.json", "vocab_size", "100"]
    ) {
      try $0.edit("config.json", ["vocab_size": 100])
    },
    BadDirectory(
      name: "a bad generation_config.json", status: XVERSE_E_CORRUPT, words: ["generation_config.json", "top_p"]
    ) {
      try $0.write("generation_config.json", "{\"top_p\": 2}")
    },
  ]
}

/// A safetensors file in parts.
struct SafetensorsFile {
  private struct Tensor {
    var name: String
    var dtype: String
    var shape: [Int]
    var data: [UInt8]
  }

  private var tensors: [Tensor]

  init(_ bytes: [UInt8]) throws {
    let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let parsed = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length]))
    let header = try #require(parsed as? [String: [String: Any]])
    tensors = try header.filter { $0.key != "__metadata__" }.map { name, entry in
      let offsets = try #require(entry["data_offsets"] as? [Int])
      return Tensor(
        name: name, dtype: try #require(entry["dtype"] as? String), shape: try #require(entry["shape"] as? [Int]),
        data: Array(bytes[8 + length + offsets[0]..<8 + length + offsets[1]]))
    }
    tensors.sort { $0.name < $1.name }
  }

  var names: [String] { tensors.map(\.name) }
  var headerLength: Int { header.count }

  var bytes: [UInt8] {
    let length = withUnsafeBytes(of: UInt64(headerLength).littleEndian, Array.init)
    return length + header + tensors.flatMap(\.data)
  }

  func keeping(_ names: Set<String>) -> SafetensorsFile {
    var result = self
    result.tensors.removeAll { !names.contains($0.name) }
    return result
  }

  func adding(_ name: String, shape: [Int]) -> SafetensorsFile {
    var result = self
    result.tensors.append(
      Tensor(name: name, dtype: "F32", shape: shape, data: [UInt8](repeating: 0, count: 4 * shape.reduce(1, *))))
    return result
  }

  func shaping(_ name: String, _ shape: [Int]) -> SafetensorsFile { changing(name) { $0.shape = shape } }

  func typing(_ name: String, _ dtype: String) -> SafetensorsFile { changing(name) { $0.dtype = dtype } }

  /// Zeros in the form of quantized weights.
  func blocks(_ name: String, _ shape: [Int]) -> SafetensorsFile {
    changing(name) {
      ($0.dtype, $0.shape) = ("U8", shape)
      $0.data = [UInt8](repeating: 0, count: shape.contains(0) ? 0 : shape.reduce(1, *))
    }
  }

  func replacing(_ name: String, element: Int, with value: Float) -> SafetensorsFile {
    changing(name) { tensor in
      withUnsafeBytes(of: value) { tensor.data.replaceSubrange(element * 4..<element * 4 + 4, with: $0) }
    }
  }

  private func changing(_ name: String, _ change: (inout Tensor) -> Void) -> SafetensorsFile {
    var result = self
    for index in result.tensors.indices where result.tensors[index].name == name { change(&result.tensors[index]) }
    return result
  }

  private var header: [UInt8] {
    var offset = 0
    var entries: [String: Any] = [:]
    for tensor in tensors {
      entries[tensor.name] =
        [
          "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, offset + tensor.data.count],
        ] as [String: Any]
      offset += tensor.data.count
    }
    return [UInt8]((try? JSONSerialization.data(withJSONObject: entries, options: [.sortedKeys])) ?? Data())
  }
}
