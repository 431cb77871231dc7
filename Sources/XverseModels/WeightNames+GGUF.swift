// WeightNames+GGUF.swift -- the names of the same weights in a GGUF file (gguf-py, "TENSOR_NAMES"), and how its rows stand.

import XverseFormats

extension WeightNames {
  private static let ends = [
    (embedding, "token_embd.weight"), (finalNorm, "output_norm.weight"), (head, GGUF.head),
  ]
  /// Behind "model.layers.N." and "blk.N.".
  private static let parts = [
    ("input_layernorm.weight", "attn_norm.weight"), ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.k_proj.weight", "attn_k.weight"), ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.o_proj.weight", "attn_output.weight"), ("post_attention_layernorm.weight", "ffn_norm.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"), ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
  ]

  /// Names that only GGUF has.
  enum GGUF {
    static let head = "output.weight"
  }

  /// The name in a checkpoint of this format of what Hugging Face's checkpoints call `name`.
  package static func name(of name: String, in format: WeightsFormat) -> String {
    guard format == .gguf else { return name }
    if let end = ends.first(where: { $0.0 == name }) { return end.1 }
    let pieces = name.split(separator: ".", maxSplits: 3)
    guard pieces.count == 4, let part = parts.first(where: { $0.0 == pieces[3] }) else { return name }
    return "blk.\(pieces[2]).\(part.1)"
  }

  /// What Hugging Face's checkpoints call a tensor of a GGUF file; nil for one that is none of a model's weights.
  static func huggingFace(_ name: String) -> String? {
    if let end = ends.first(where: { $0.1 == name }) { return end.0 }
    let pieces = name.split(separator: ".", maxSplits: 2)
    guard pieces.count == 3, pieces[0] == "blk", let part = parts.first(where: { $0.1 == pieces[2] }) else {
      return nil
    }
    return "model.layers.\(pieces[1]).\(part.0)"
  }

  /// The heads of what Hugging Face's checkpoints call `name`, when a checkpoint of this format has the rows that RoPE turns
  /// together side by side; nil when it has all rows as our models do.
  static func rotaryHeads(
    of name: String, in format: WeightsFormat, _ configuration: ModelConfiguration
  ) -> Int? {
    guard format == .gguf else { return nil }
    if name.hasSuffix(".self_attn.q_proj.weight") { return configuration.headCount }
    return name.hasSuffix(".self_attn.k_proj.weight") ? configuration.kvHeadCount : nil
  }

  /// The same as an order of rows.
  package static func rowOrder(
    of name: String, in format: WeightsFormat, _ configuration: ModelConfiguration
  ) -> WeightImporter.RowOrder {
    rotaryHeads(of: name, in: format, configuration).map { .rotaryPairs(heads: $0) } ?? .natural
  }

  /// Whether a tensor of a GGUF file changes what the others compute, so that it cannot be left out.
  static func isEssential(_ name: String) -> Bool {
    name.hasSuffix(".bias")
      || ["rope_freqs.", "rope_factors_"].contains { name.hasPrefix($0) || name.contains("." + $0) }
      || ["attn_q_norm.weight", "attn_k_norm.weight", "ffn_gate_inp.weight"].contains { name.hasSuffix("." + $0) }
  }
}
