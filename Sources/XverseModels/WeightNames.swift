// WeightNames.swift -- the names of tensors that stand beside the weights or in their place. WeightKey.swift has the names
// of the weights themselves; no other file has any.

import XverseFormats

/// What a tensor's name says about it.
package enum WeightNames {
  /// The tensors that stand in the place of a matrix that GPTQ quantized.
  package struct GPTQ: Sendable {
    private let stem: Substring

    /// - Parameter name: The name of the matrix.
    package init(_ name: String) { stem = name.dropLast(WeightKey.suffix.count) }

    package var codes: String { stem + Self.codesSuffix }
    package var zeros: String { stem + ".qzeros" }
    package var scales: String { stem + ".scales" }
    package var groupIndices: String { stem + ".g_idx" }
    package var bias: String { stem + ".bias" }

    private static let codesSuffix = ".qweight"

    /// The matrix that a tensor of GPTQ's belongs to; nil for another tensor.
    static func matrix(of name: String) -> WeightKey? {
      guard let dot = name.lastIndex(of: "."),
        let key = WeightKey(named: name[..<dot] + WeightKey.suffix, in: .safetensors), !key.role.declaration.isNorm
      else { return nil }
      let names = GPTQ(key.name(in: .safetensors))
      return [names.codes, names.zeros, names.scales, names.groupIndices, names.bias].contains(name) ? key : nil
    }
  }

  /// Modules that a training wraps around a model or its layers: torch.compile, DistributedDataParallel, DeepSpeed, FSDP,
  /// activation checkpoints, PEFT.
  private static let wrappers: Set<Substring> = [
    "_orig_mod", "module", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "base_model",
  ]

  /// What a weight is called without the names of wrappers, and with that of the inner model; nil for a tensor that is no
  /// weight by any such name.
  static func unwrapped(_ name: String) -> String? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).filter { !wrappers.contains($0) }
    let inner = parts.drop { $0 == "model" }
    switch inner.first {
    case "lm_head": return inner.joined(separator: ".")
    case "embed_tokens", "layers", "norm": return "model." + inner.joined(separator: ".")
    default: return nil
    }
  }

  /// Whether a model of this configuration reads the tensor called `name` in a checkpoint of this format.
  package static func isUsed(
    _ name: String, in format: WeightsFormat, by configuration: ModelConfiguration
  ) -> Bool {
    if let key = WeightKey(named: name, in: format) { return configuration.has(key) }
    guard configuration.gptq != nil, format != .gguf, let key = GPTQ.matrix(of: name) else { return false }
    return configuration.has(key)
  }

  /// Whether a tensor is a table that older checkpoints saved although it follows from config.json.
  package static func isIgnored(_ name: String) -> Bool {
    ["rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached", "attn_rot_embd.weight"].contains {
      suffix in
      name == suffix || name.hasSuffix("." + suffix)
    }
  }

  /// Whether a tensor of a GGUF file changes what the others compute, so that it cannot be left out.
  static func isEssential(_ name: String) -> Bool {
    name.hasSuffix(".bias")
      || ["rope_freqs.", "rope_factors_"].contains { name.hasPrefix($0) || name.contains("." + $0) }
      || ["attn_q_norm.weight", "attn_k_norm.weight", "ffn_gate_inp.weight"].contains { name.hasSuffix("." + $0) }
  }
}
