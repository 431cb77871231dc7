// WeightNames+Membership.swift -- which of a checkpoint's tensors a model uses.

import XverseFormats

extension WeightNames {
  /// The norm weights of a model, all of shape `[hiddenSize]`.
  static func norms(layerCount: Int) -> [String] {
    (0..<layerCount).flatMap { [Layer($0).inputNorm, Layer($0).postAttentionNorm] } + [finalNorm]
  }

  /// The matrices of a model.
  static func matrices(of configuration: ModelConfiguration) -> [String] {
    let layers = (0..<configuration.layerCount).map { Layer($0) }
    let ends = configuration.tieWordEmbeddings ? [embedding] : [embedding, head]
    return ends + layers.flatMap { [$0.query, $0.key, $0.value, $0.output, $0.gate, $0.up, $0.down] }
  }

  /// Whether a model of this configuration reads the tensor called `name` in a checkpoint of this format.
  package static func isUsed(
    _ name: String, in format: WeightsFormat, by configuration: ModelConfiguration
  ) -> Bool {
    guard format == .gguf else { return isUsed(name, by: configuration) }
    return huggingFace(name).map { isUsed($0, by: configuration) } ?? false
  }

  /// The same for a checkpoint of Hugging Face's.
  static func isUsed(_ name: String, by configuration: ModelConfiguration) -> Bool {
    if name == embedding || name == finalNorm { return true }
    if name == head { return !configuration.tieWordEmbeddings }
    let parts = name.split(separator: ".", maxSplits: 3)
    guard parts.count == 4, let index = Int(parts[2]), (0..<configuration.layerCount).contains(index) else {
      return false
    }
    let layer = Layer(index)
    return layer.all.contains(name)
      || configuration.gptq != nil && layer.matrices.contains { GPTQ($0).all.contains(name) }
  }
}

extension WeightNames.Layer {
  fileprivate var all: [String] { [inputNorm, postAttentionNorm] + matrices }
  fileprivate var matrices: [String] { [query, key, value, output, gate, up, down] }
}

extension WeightNames.GPTQ {
  fileprivate var all: [String] { [codes, zeros, scales, groupIndices, bias] }
}
