// WeightKey.swift -- which weight of a model: its role and its layer. A role is declared once, in `declaration`;
// naming, shapes, loading, counting, verifying, quantizing and exporting all follow that row.

import XverseFormats

/// Names one weight of a model, whatever its checkpoint calls it.
package struct WeightKey: Hashable, Sendable {
  package let role: Role
  /// Counted from 0; nil for a weight outside the layers.
  package let layer: Int?

  package init(_ role: Role, layer: Int? = nil) {
    self.role = role
    self.layer = layer
  }
}

extension WeightKey {
  /// What a weight does in the model. Converted checkpoints hold the tensors of a layer in this order.
  package enum Role: Int, CaseIterable, Sendable {
    case embedding
    case head
    case query
    case key
    case value
    case output
    case gate
    case up
    case down
    case inputNorm
    case postAttentionNorm
    case finalNorm

    package var declaration: Declaration {
      switch self {
      case .embedding:
        .matrix("model.embed_tokens", gguf: "token_embd", isInLayers: false, \.vocabularySize, \.hiddenSize)
      case .head:
        .matrix("lm_head", gguf: "output", isInLayers: false, \.vocabularySize, \.hiddenSize, input: .head)
      case .query:
        .matrix(
          "self_attn.q_proj", gguf: "attn_q", \.queryWidth, \.hiddenSize, input: .attention, rotaryHeads: \.headCount)
      case .key:
        .matrix(
          "self_attn.k_proj", gguf: "attn_k", \.kvWidth, \.hiddenSize, input: .attention, rotaryHeads: \.kvHeadCount)
      case .value: .matrix("self_attn.v_proj", gguf: "attn_v", \.kvWidth, \.hiddenSize, input: .attention)
      case .output:
        .matrix("self_attn.o_proj", gguf: "attn_output", \.hiddenSize, \.queryWidth, input: .attentionOutput)
      case .gate: .matrix("mlp.gate_proj", gguf: "ffn_gate", \.intermediateSize, \.hiddenSize, input: .mlp)
      case .up: .matrix("mlp.up_proj", gguf: "ffn_up", \.intermediateSize, \.hiddenSize, input: .mlp)
      case .down: .matrix("mlp.down_proj", gguf: "ffn_down", \.hiddenSize, \.intermediateSize, input: .mlpOutput)
      case .inputNorm: .norm("input_layernorm", gguf: "attn_norm")
      case .postAttentionNorm: .norm("post_attention_layernorm", gguf: "ffn_norm")
      case .finalNorm: .norm("model.norm", gguf: "output_norm", isInLayers: false)
      }
    }

    /// The matrices of a layer.
    package static let layerMatrices = allCases.filter { $0.declaration.isInLayers && !$0.declaration.isNorm }
    /// The norm weights of a layer.
    static let layerNorms = allCases.filter { $0.declaration.isInLayers && $0.declaration.isNorm }
  }

  /// What a role implies.
  package struct Declaration {
    typealias Size = KeyPath<ModelConfiguration, Int>

    /// The name in Hugging Face's checkpoints and in GGUF files, between the layer's prefix and ".weight".
    let huggingFaceName, ggufName: String
    package let isInLayers: Bool
    /// `[rows, columns]` = `[outputs, inputs]`; a vector has one row.
    private let rows: Size?
    private let columns: Size
    /// What the matrix multiplies; nil for the embedding, whose rows are looked up, and for norm weights.
    package let input: LinearInput?
    /// The heads whose rows RoPE turns in pairs.
    let rotaryHeads: Size?

    var isNorm: Bool { rows == nil }

    func shape(in configuration: ModelConfiguration) -> (rows: Int, columns: Int) {
      (rows.map { configuration[keyPath: $0] } ?? 1, configuration[keyPath: columns])
    }

    static func matrix(
      _ huggingFaceName: String, gguf: String, isInLayers: Bool = true, _ rows: Size, _ columns: Size,
      input: LinearInput? = nil, rotaryHeads: Size? = nil
    ) -> Self {
      Self(
        huggingFaceName: huggingFaceName, ggufName: gguf, isInLayers: isInLayers, rows: rows, columns: columns,
        input: input, rotaryHeads: rotaryHeads)
    }

    static func norm(_ huggingFaceName: String, gguf: String, isInLayers: Bool = true) -> Self {
      Self(
        huggingFaceName: huggingFaceName, ggufName: gguf, isInLayers: isInLayers, rows: nil, columns: \.hiddenSize,
        input: nil, rotaryHeads: nil)
    }
  }
}

// MARK: the weights of a model

extension ModelConfiguration {
  /// Every matrix once, in the order of a converted checkpoint: embedding, head unless it is the embedding, layers.
  package var matrixKeys: [WeightKey] {
    let ends = tieWordEmbeddings ? [WeightKey(.embedding)] : [WeightKey(.embedding), WeightKey(.head)]
    return ends + layerKeys(WeightKey.Role.layerMatrices)
  }

  /// Every norm weight, those of the layers first.
  package var normKeys: [WeightKey] { layerKeys(WeightKey.Role.layerNorms) + [WeightKey(.finalNorm)] }

  private func layerKeys(_ roles: [WeightKey.Role]) -> [WeightKey] {
    (0..<layerCount).flatMap { layer in roles.map { WeightKey($0, layer: layer) } }
  }

  /// Whether a model of this configuration has such a weight.
  func has(_ key: WeightKey) -> Bool {
    if key.role == .head { return !tieWordEmbeddings }
    return key.layer.map { (0..<layerCount).contains($0) } ?? true
  }

  /// Number of weights, the norms among them.
  package var parameterCount: Int {
    WeightKey.Role.allCases.reduce(0) { sum, role in
      guard has(WeightKey(role)) else { return sum }
      let (rows, columns) = role.declaration.shape(in: self)
      return sum + rows * columns * (role.declaration.isInLayers ? layerCount : 1)
    }
  }

  /// Columns of all heads' queries, and of all KV heads' keys.
  package var queryWidth: Int { headCount * headSize }
  package var kvWidth: Int { kvHeadCount * headSize }
}

// MARK: names

extension WeightKey {
  /// The name of the tensor in a checkpoint of this format.
  package func name(in format: WeightsFormat) -> String {
    let prefix = layer.map { Self.layerPrefix(format) + "\($0)." } ?? ""
    return prefix + Self.name(role, format) + Self.suffix
  }

  /// The weight that a checkpoint of this format calls `name`; nil when that is none of a model's.
  package init?(named name: String, in format: WeightsFormat) {
    guard name.hasSuffix(Self.suffix) else { return nil }
    var stem = name.dropLast(Self.suffix.count)
    var layer: Int?
    if stem.hasPrefix(Self.layerPrefix(format)) {
      let parts = stem.dropFirst(Self.layerPrefix(format).count).split(separator: ".", maxSplits: 1)
      guard parts.count == 2, let index = Int(parts[0]) else { return nil }
      (layer, stem) = (index, parts[1])
    }
    let isInLayers = layer != nil
    let role = Role.allCases.first { $0.declaration.isInLayers == isInLayers && Self.name($0, format) == stem }
    guard let role else { return nil }
    self.init(role, layer: layer)
    // "model.layers.01." is none.
    guard self.name(in: format) == name else { return nil }
  }

  static let suffix = ".weight"

  private static func layerPrefix(_ format: WeightsFormat) -> String { format == .gguf ? "blk." : "model.layers." }

  private static func name(_ role: Role, _ format: WeightsFormat) -> String {
    format == .gguf ? role.declaration.ggufName : role.declaration.huggingFaceName
  }

  /// How a checkpoint of this format orders the rows: GGUF puts those that RoPE turns together side by side.
  package func rowOrder(in format: WeightsFormat, _ configuration: ModelConfiguration) -> WeightImporter.RowOrder {
    guard format == .gguf, let heads = role.declaration.rotaryHeads else { return .natural }
    return .rotaryPairs(heads: configuration[keyPath: heads])
  }
}
