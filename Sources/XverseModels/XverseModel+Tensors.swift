// XverseModel+Tensors.swift -- a model as the tensors of a checkpoint.

import XverseFormats
import XverseTensors

extension XverseModel {
  /// All matrices under their names in Hugging Face's checkpoints.
  package var namedMatrices: [(name: String, weights: WeightMatrix)] {
    var matrices = [(WeightNames.embedding, embedding)]
    if !configuration.tieWordEmbeddings { matrices.append((WeightNames.head, head)) }
    for (index, layer) in layers.enumerated() {
      let names = WeightNames.Layer(index)
      matrices += [
        (names.query, layer.attention.query), (names.key, layer.attention.key), (names.value, layer.attention.value),
        (names.output, layer.attention.output), (names.gate, layer.mlp.gate), (names.up, layer.mlp.up),
        (names.down, layer.mlp.down),
      ]
    }
    return matrices
  }

  /// All norm weights, f32 `[hiddenSize]`.
  package var normTensors: [OutputTensor] {
    var tensors: [OutputTensor] = []
    for (index, layer) in layers.enumerated() {
      let names = WeightNames.Layer(index)
      tensors += [tensor(names.inputNorm, layer.inputNorm), tensor(names.postAttentionNorm, layer.postAttentionNorm)]
    }
    return tensors + [tensor(WeightNames.finalNorm, finalNorm)]
  }

  /// All weights under their names in a checkpoint, matrices first; they live as long as the model.
  package var tensors: [OutputTensor] {
    let matrices = namedMatrices.map { name, weights in
      OutputTensor(
        name: name, dtype: weights.dtype,
        shape: weights.dtype.storedShape(rows: weights.rows, columns: weights.columns),
        bytes: UnsafeRawBufferPointer(start: weights.data, count: weights.byteCount))
    }
    return matrices + normTensors
  }

  private func tensor(_ name: String, _ norm: RMSNorm) -> OutputTensor {
    let values = UnsafeBufferPointer(start: norm.weight, count: configuration.hiddenSize)
    return OutputTensor(
      name: name, dtype: .float32, shape: [configuration.hiddenSize], bytes: UnsafeRawBufferPointer(values))
  }
}
