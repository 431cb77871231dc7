// TinyCheckpoint.swift -- a whole model directory with random weights, small enough to be made for every test: XVERSE's
// configuration, tokenizer pipeline and tensor names.

import Foundation

/// Writes a Hugging Face directory. Change the properties, then call `write`.
package struct TinyCheckpoint {
  package enum DType: String {
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
  }

  package var hiddenSize = 32
  package var intermediateSize = 48
  package var layerCount = 2
  package var headCount = 4
  package var kvHeadCount = 4
  package var headSize = 8
  package var maximumPositions = 256
  package var tiesWordEmbeddings = false
  /// Rows of embedding and lm_head beyond the tokenizer's tokens.
  package var unusedRowCount = 0
  package var dtype = DType.float32
  package var seed: UInt64 = 1
  /// More members of config.json, such as `"rope_scaling": {...}`.
  package var extraConfiguration: [String: Any] = [:]
  package var generationConfiguration: [String: Any] = ["eos_token_id": 3]

  package init() {}

  package static let vocabulary = TinyVocabulary()
  package var vocabularySize: Int { Self.vocabulary.pieces.count + unusedRowCount }

  /// Writes config.json, generation_config.json, tokenizer.json and model.safetensors.
  package func write(to directory: TemporaryDirectory) throws {
    try directory.write("config.json", json(configuration))
    try directory.write("generation_config.json", json(generationConfiguration))
    try directory.write("tokenizer.json", json(Self.vocabulary.tokenizer))
    try directory.write("model.safetensors", safetensors)
  }

  package var configuration: [String: Any] {
    let base: [String: Any] = [
      "architectures": ["XverseForCausalLM"], "model_type": "xverse", "hidden_act": "silu",
      "hidden_size": hiddenSize, "intermediate_size": intermediateSize, "num_hidden_layers": layerCount,
      "num_attention_heads": headCount, "num_key_value_heads": kvHeadCount, "head_dim": headSize,
      "max_position_embeddings": maximumPositions, "rms_norm_eps": 1e-6, "vocab_size": vocabularySize,
      "tie_word_embeddings": tiesWordEmbeddings, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3,
    ]
    return base.merging(extraConfiguration) { $1 }
  }

  /// Names, shapes and values of all tensors; the values are those that the stored type can hold.
  package var tensors: [(name: String, shape: [Int], values: [Float])] {
    var random = SeededRandom(seed: seed)
    func tensor(_ name: String, _ shape: [Int], around center: Float = 0, spread: Float) -> (String, [Int], [Float]) {
      let values = random.floats(shape.reduce(1, *), in: center - spread...center + spread)
      return (name, shape, values.map(stored))
    }
    let queries = headCount * headSize
    let keys = kvHeadCount * headSize
    var result = [tensor("model.embed_tokens.weight", [vocabularySize, hiddenSize], spread: 1)]
    for layer in 0..<layerCount {
      let prefix = "model.layers.\(layer)."
      result.append(tensor(prefix + "input_layernorm.weight", [hiddenSize], around: 1, spread: 0.2))
      result.append(tensor(prefix + "self_attn.q_proj.weight", [queries, hiddenSize], spread: 0.4))
      result.append(tensor(prefix + "self_attn.k_proj.weight", [keys, hiddenSize], spread: 0.4))
      result.append(tensor(prefix + "self_attn.v_proj.weight", [keys, hiddenSize], spread: 0.4))
      result.append(tensor(prefix + "self_attn.o_proj.weight", [hiddenSize, queries], spread: 0.4))
      result.append(tensor(prefix + "post_attention_layernorm.weight", [hiddenSize], around: 1, spread: 0.2))
      result.append(tensor(prefix + "mlp.gate_proj.weight", [intermediateSize, hiddenSize], spread: 0.4))
      result.append(tensor(prefix + "mlp.up_proj.weight", [intermediateSize, hiddenSize], spread: 0.4))
      result.append(tensor(prefix + "mlp.down_proj.weight", [hiddenSize, intermediateSize], spread: 0.4))
    }
    result.append(tensor("model.norm.weight", [hiddenSize], around: 1, spread: 0.2))
    if !tiesWordEmbeddings { result.append(tensor("lm_head.weight", [vocabularySize, hiddenSize], spread: 0.4)) }
    return result
  }

  /// The file model.safetensors.
  package var safetensors: [UInt8] {
    var header: [String: Any] = [:]
    var data: [UInt8] = []
    for (name, shape, values) in tensors {
      let begin = data.count
      for value in values { data.append(contentsOf: bytes(of: value)) }
      header[name] = ["dtype": dtype.rawValue, "shape": shape, "data_offsets": [begin, data.count]]
    }
    let text = Array(json(header).utf8)
    return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text + data
  }

  private func stored(_ value: Float) -> Float {
    switch dtype {
    case .float32: value
    case .float16: Self.widened(half: Self.half(value))
    case .bfloat16: Float(bitPattern: value.bitPattern & 0xFFFF_0000)
    }
  }

  func bytes(of value: Float) -> [UInt8] {
    switch dtype {
    case .float32: withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
    case .float16: withUnsafeBytes(of: Self.half(value).littleEndian, Array.init)
    case .bfloat16: withUnsafeBytes(of: UInt16(value.bitPattern >> 16).littleEndian, Array.init)
    }
  }

  /// A half by truncation, for normal numbers; smaller ones become zero.
  private static func half(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let exponent = Int(bits >> 23 & 0xFF) - 127 + 15
    guard exponent > 0 else { return 0 }
    return UInt16(bits >> 16 & 0x8000) | UInt16(exponent) << 10 | UInt16(bits >> 13 & 0x3FF)
  }

  private static func widened(half bits: UInt16) -> Float {
    guard bits & 0x7C00 != 0 else { return 0 }
    let exponent = UInt32(bits >> 10 & 0x1F) + 127 - 15
    return Float(bitPattern: UInt32(bits & 0x8000) << 16 | exponent << 23 | UInt32(bits & 0x3FF) << 13)
  }

  private func json(_ value: [String: Any]) -> String {
    let options: JSONSerialization.WritingOptions = [.sortedKeys]
    guard let data = try? JSONSerialization.data(withJSONObject: value, options: options) else { return "" }
    return String(decoding: data, as: UTF8.self)
  }
}

/// XVERSE's tokenizer pipeline over a small vocabulary: special tokens, printable ASCII, some Chinese, merges, bytes.
package struct TinyVocabulary {
  package let pieces: [String]
  private let merges: [[String]]

  init() {
    let special = [
      "<sep>", "<pad>", "<|startoftext|>", "<|endoftext|>", "<|endofprompt|>", "<|endofknowledge|>",
    ]
    let characters = (0x21...0x7E).compactMap { Unicode.Scalar($0).map(String.init) } + ["▁", "你", "好", "世", "界", "\n"]
    let joined = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("a", "n"), ("i", "n"), ("o", "n"), ("▁", "a"), ("H", "u")]
    merges = joined.map { [$0.0, $0.1] }
    pieces = special + characters + joined.map { $0.0 + $0.1 } + (0..<256).map { String(format: "<0x%02X>", $0) }
  }

  /// The content of tokenizer.json.
  package var tokenizer: [String: Any] {
    let metaspace: [String: Any] = ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true]
    let ids = Dictionary(uniqueKeysWithValues: pieces.enumerated().map { ($1, $0) })
    return [
      "version": "1.0", "truncation": NSNull(), "padding": NSNull(), "normalizer": NSNull(),
      "post_processor": NSNull(),
      "added_tokens": pieces.prefix(6).enumerated().map { id, piece in
        [
          "id": id, "content": piece, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
          "special": true,
        ] as [String: Any]
      },
      "pre_tokenizer": [
        "type": "Sequence",
        "pretokenizers": [
          metaspace, ["type": "Digits", "individual_digits": true], ["type": "Punctuation", "behavior": "Isolated"],
        ],
      ] as [String: Any],
      "decoder": ["type": "Sequence", "decoders": [metaspace, ["type": "ByteFallback"]]] as [String: Any],
      "model": [
        "type": "BPE", "dropout": NSNull(), "unk_token": NSNull(), "continuing_subword_prefix": NSNull(),
        "end_of_word_suffix": NSNull(), "fuse_unk": false, "byte_fallback": true, "vocab": ids, "merges": merges,
      ] as [String: Any],
    ]
  }
}
