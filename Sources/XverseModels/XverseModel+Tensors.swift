// XverseModel+Tensors.swift -- a model as the tensors of a checkpoint.

import XverseFormats
import XverseTensors

extension XverseModel {
  /// All weights under their names in a checkpoint, matrices first; they live as long as the model.
  package var tensors: [OutputTensor] {
    var tensors = [tensor(WeightNames.embedding, embedding)]
    if !configuration.tieWordEmbeddings { tensors.append(tensor(WeightNames.head, head)) }
    for (index, layer) in layers.enumerated() {
      let names = WeightNames.Layer(index)
      tensors += [
        tensor(names.query, layer.attention.query), tensor(names.key, layer.attention.key),
        tensor(names.value, layer.attention.value), tensor(names.output, layer.attention.output),
        tensor(names.gate, layer.mlp.gate), tensor(names.up, layer.mlp.up), tensor(names.down, layer.mlp.down),
      ]
    }
    for (index, layer) in layers.enumerated() {
      let names = WeightNames.Layer(index)
      tensors += [tensor(names.inputNorm, layer.inputNorm), tensor(names.postAttentionNorm, layer.postAttentionNorm)]
    }
    return tensors + [tensor(WeightNames.finalNorm, finalNorm)]
  }

  private func tensor(_ name: String, _ weights: WeightMatrix) -> OutputTensor {
    OutputTensor(
      name: name, dtype: weights.dtype,
      shape: weights.dtype.storedShape(rows: weights.rows, columns: weights.columns),
      bytes: UnsafeRawBufferPointer(start: weights.data, count: weights.byteCount))
  }

  private func tensor(_ name: String, _ norm: RMSNorm) -> OutputTensor {
    let values = UnsafeBufferPointer(start: norm.weight, count: configuration.hiddenSize)
    return OutputTensor(
      name: name, dtype: .float32, shape: [configuration.hiddenSize], bytes: UnsafeRawBufferPointer(values))
  }
}
