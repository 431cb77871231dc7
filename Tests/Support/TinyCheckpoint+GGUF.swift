// TinyCheckpoint+GGUF.swift -- the tiny model as a GGUF file.

extension TinyCheckpoint {
  /// The names of a layer's tensors, Hugging Face's and GGUF's.
  private static let parts = [
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
  ]

  /// The same numbers in F32, rows of queries and keys in GGUF's order, with a tokenizer of the same vocabulary.
  package var gguf: GGUFFile {
    var file = GGUFFile()
    file["general.architecture"] = .string("xverse")
    for (key, value) in [
      ("embedding_length", hiddenSize), ("feed_forward_length", intermediateSize), ("block_count", layerCount),
      ("attention.head_count", headCount), ("attention.head_count_kv", kvHeadCount),
      ("attention.key_length", headSize), ("context_length", maximumPositions), ("vocab_size", vocabularySize),
      ("rope.dimension_count", headSize),
    ] {
      file["xverse." + key] = .uint32(UInt32(value))
    }
    file["xverse.attention.layer_norm_rms_epsilon"] = .float32(1e-6)
    file["xverse.rope.freq_base"] = .float32(10_000)
    let pieces = Self.vocabulary.pieces
    file["tokenizer.ggml.model"] = .string("llama")
    file["tokenizer.ggml.tokens"] = .strings(pieces)
    file["tokenizer.ggml.token_type"] = .array(
      of: 5, pieces.enumerated().map { .int32($0 < 6 ? 3 : $1.hasPrefix("<0x") ? 6 : 1) })
    file["tokenizer.ggml.bos_token_id"] = .uint32(2)
    file["tokenizer.ggml.eos_token_id"] = .uint32(3)
    file["tokenizer.ggml.padding_token_id"] = .uint32(1)
    file.tensors = tensors.map { name, shape, values in
      GGUFFile.Tensor(Self.ggufName(name), shape.reversed().map(UInt64.init), values: stored(name, shape, values))
    }
    return file
  }

  private static func ggufName(_ name: String) -> String {
    switch name {
    case "model.embed_tokens.weight": return "token_embd.weight"
    case "model.norm.weight": return "output_norm.weight"
    case "lm_head.weight": return "output.weight"
    default:
      let pieces = name.split(separator: ".", maxSplits: 3)
      return "blk.\(pieces[2]).\(parts[String(pieces[3].dropLast(7))] ?? "").weight"
    }
  }

  /// Row `pair` and row `pair + headSize / 2` of each head side by side, for queries and keys.
  private func stored(_ name: String, _ shape: [Int], _ values: [Float]) -> [Float] {
    guard name.hasSuffix("q_proj.weight") || name.hasSuffix("k_proj.weight") else { return values }
    return (0..<shape[0]).flatMap { row in
      let (head, index) = row.quotientAndRemainder(dividingBy: headSize)
      let source = head * headSize + index % 2 * (headSize / 2) + index / 2
      return values[source * shape[1]..<(source + 1) * shape[1]]
    }
  }
}
