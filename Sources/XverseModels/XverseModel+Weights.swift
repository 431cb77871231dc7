// XverseModel+Weights.swift -- the parts of a model in one order, which everything that visits them follows.

import XverseCore
import XverseFormats
import XverseTensors

extension XverseModel {
  /// Every matrix once, as `ModelConfiguration.matrixKeys` has them.
  package var linears: [Linear] {
    (configuration.tieWordEmbeddings ? [embedding] : [embedding, head]) + layers.flatMap(\.linears.all)
  }

  /// Every norm, as `ModelConfiguration.normKeys` has them.
  package var norms: [RMSNorm] { layers.flatMap { [$0.inputNorm, $0.postAttentionNorm] } + [finalNorm] }

  /// The norm whose output a matrix multiplies; nil for one whose input no norm makes.
  package func norm(before key: WeightKey) -> RMSNorm? {
    switch key.role.declaration.input {
    case .attention: key.layer.map { layers[$0].inputNorm }
    case .mlp: key.layer.map { layers[$0].postAttentionNorm }
    case .head: finalNorm
    case .attentionOutput, .mlpOutput, nil: nil
    }
  }

  /// The same model with other matrices of the same shapes.
  ///
  /// - Parameters:
  ///   - memory: What they stand in, asked for when all are there.
  ///   - weights: Called once for each matrix, in the order of `linears`.
  package func replacingLinears(
    memory: () -> [any WeightMemory], _ weights: (Linear) throws(XverseError) -> WeightMatrix
  ) throws(XverseError) -> XverseModel {
    let embedding = Linear(embedding.key, try weights(embedding))
    let head = configuration.tieWordEmbeddings ? embedding : Linear(head.key, try weights(head))
    var layers: [DecoderLayer] = []
    layers.reserveCapacity(self.layers.count)
    for layer in self.layers { layers.append(layer.withLinears(try layer.linears.replacing(weights))) }
    return XverseModel(self, embedding: embedding, layers: layers, head: head, memory: memory())
  }

  /// All weights under their names in a Hugging Face checkpoint, matrices first; they live as long as the model.
  package var tensors: [OutputTensor] {
    let matrices = linears.map { linear in
      let weights = linear.weights
      return OutputTensor(
        name: linear.key.name(in: .safetensors), dtype: weights.dtype,
        shape: weights.dtype.storedShape(rows: weights.rows, columns: weights.columns),
        bytes: UnsafeRawBufferPointer(start: weights.data, count: weights.byteCount))
    }
    return matrices
      + norms.map { norm in
        OutputTensor(
          name: norm.key.name(in: .safetensors), dtype: .float32, shape: [configuration.hiddenSize],
          bytes: bytes(of: norm))
      }
  }

  /// The weights of a norm, f32 `[hiddenSize]`.
  package func bytes(of norm: RMSNorm) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(UnsafeBufferPointer(start: norm.weight, count: configuration.hiddenSize))
  }

  /// Bytes of all weights in the form in which they are used; the norms' as f32.
  package var weightBytes: Int {
    let norms = configuration.normKeys.count * configuration.hiddenSize * MemoryLayout<Float>.size
    return linears.reduce(norms) { $0 + $1.weights.byteCount }
  }

  /// The name of the matrices' `DType`, or "mixed". Embedding and head may be int8 where the layers have 4 bits.
  package var matrixTypeName: String {
    var types = Set(layers.flatMap(\.linears.all).map(\.weights.dtype))
    let ends: Set = [embedding.weights.dtype, head.weights.dtype]
    if ends != [.int8] || (types != [.int4] && types != [.int4F16]) { types.formUnion(ends) }
    return types.count == 1 ? types.first.map(\.name) ?? "mixed" : "mixed"
  }
}
