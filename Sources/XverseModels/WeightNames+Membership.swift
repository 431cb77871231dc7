// WeightNames+Membership.swift -- which of a checkpoint's tensors a model uses.

extension WeightNames {
  /// The norm weights of a model, all of shape `[hiddenSize]`.
  static func norms(layerCount: Int) -> [String] {
    (0..<layerCount).flatMap { [Layer($0).inputNorm, Layer($0).postAttentionNorm] } + [finalNorm]
  }

  /// Whether a model of this configuration reads the tensor called `name`.
  package static func isUsed(_ name: String, by configuration: ModelConfiguration) -> Bool {
    if name == embedding || name == finalNorm { return true }
    if name == head { return !configuration.tieWordEmbeddings }
    let parts = name.split(separator: ".", maxSplits: 3)
    guard parts.count == 4, let index = Int(parts[2]), (0..<configuration.layerCount).contains(index) else {
      return false
    }
    return Layer(index).all.contains(name)
  }
}

extension WeightNames.Layer {
  fileprivate var all: [String] {
    [inputNorm, query, key, value, output, postAttentionNorm, gate, up, down]
  }
}
