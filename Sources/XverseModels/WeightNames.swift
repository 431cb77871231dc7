// WeightNames.swift -- the names of a checkpoint's tensors. They stand here and nowhere else.

/// The names that Hugging Face's LLaMA-like checkpoints give their weights.
package enum WeightNames {
  package static let embedding = "model.embed_tokens.weight"
  package static let finalNorm = "model.norm.weight"
  package static let head = "lm_head.weight"

  /// The weights of one decoder layer.
  package struct Layer: Sendable {
    private let prefix: String

    package init(_ index: Int) { prefix = "model.layers.\(index)." }

    package var inputNorm: String { prefix + "input_layernorm.weight" }
    package var query: String { prefix + "self_attn.q_proj.weight" }
    package var key: String { prefix + "self_attn.k_proj.weight" }
    package var value: String { prefix + "self_attn.v_proj.weight" }
    package var output: String { prefix + "self_attn.o_proj.weight" }
    package var postAttentionNorm: String { prefix + "post_attention_layernorm.weight" }
    package var gate: String { prefix + "mlp.gate_proj.weight" }
    package var up: String { prefix + "mlp.up_proj.weight" }
    package var down: String { prefix + "mlp.down_proj.weight" }
  }

  /// The tensors that stand in the place of a matrix that GPTQ quantized.
  package struct GPTQ: Sendable {
    private let stem: Substring

    /// - Parameter name: The name of the matrix.
    package init(_ name: String) { stem = name.dropLast(WeightNames.suffix.count) }

    package var codes: String { stem + ".qweight" }
    package var zeros: String { stem + ".qzeros" }
    package var scales: String { stem + ".scales" }
    package var groupIndices: String { stem + ".g_idx" }
    package var bias: String { stem + ".bias" }
  }

  static let suffix = ".weight"

  /// Whether a tensor is a table that older checkpoints saved although it follows from config.json.
  package static func isIgnored(_ name: String) -> Bool {
    ["rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached", "attn_rot_embd.weight"].contains {
      suffix in
      name == suffix || name.hasSuffix("." + suffix)
    }
  }
}
