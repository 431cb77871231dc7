// XverseModel+Verification.swift -- reads every weight once: a NaN or an infinity anywhere makes every answer worthless.

import XverseCore
import XverseFormats
import XverseTensors

extension XverseModel {
  /// The type of the matrices: "f32", "f16", "bf16", "int8", "int4", "int4_f16", or "mixed". Embedding and head may be int8
  /// where the layers have 4 bits.
  package var matrixTypeName: String {
    var types = Set(layers.flatMap(\.matrices).map(\.dtype))
    let ends: Set = [embedding.dtype, head.dtype]
    if ends != [.int8] || (types != [.int4] && types != [.int4F16]) { types.formUnion(ends) }
    return types.count == 1 ? types.first.map(\.name) ?? "mixed" : "mixed"
  }

  /// Bytes of all weights in the form in which they are used; the norms' as f32.
  package var weightBytes: Int {
    let heads = configuration.tieWordEmbeddings ? embedding.byteCount : embedding.byteCount + head.byteCount
    let norms = (2 * layers.count + 1) * configuration.hiddenSize * MemoryLayout<Float>.size
    return layers.flatMap(\.matrices).reduce(heads + norms) { $0 + $1.byteCount }
  }

  /// Checks that every element of every weight is finite; what was converted from other blocks is so already.
  ///
  /// - Parameters:
  ///   - kernels: Called on the calling thread: serial ones, unless that is the compute thread.
  ///   - progress: Called before each tensor, and at the end, with bytes done of total.
  /// - Throws: `corrupt` naming the file, the tensor, the index and the value; what `progress` throws.
  package func verifyValues(
    of checkpoint: Checkpoint, kernels: Kernels, progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    var tensors: [CheckpointTensor] = []
    for name in checkpoint.tensorNames where WeightNames.isUsed(name, in: checkpoint.format, by: configuration) {
      if let tensor = try checkpoint.tensor(named: name) { tensors.append(tensor) }
    }
    let total = tensors.reduce(0) { $0 + $1.byteCount }
    var done = 0
    for tensor in tensors {
      try progress(done, total)
      if let index = tensor.firstNonFinite(kernels) {
        throw .corrupt(
          "\(tensor.fileName): tensor '\(tensor.name)' has a NaN or infinite value at element \(index), expected finite values"
        )
      }
      done += tensor.byteCount
    }
    try progress(total, total)
  }
}

extension DecoderLayer {
  var matrices: [WeightMatrix] {
    [attention.query, attention.key, attention.value, attention.output, mlp.gate, mlp.up, mlp.down]
  }
}

extension CheckpointTensor {
  /// The index of the first element, or block, that is not finite; nil when all are.
  fileprivate func firstNonFinite(_ kernels: Kernels) -> Int? {
    guard let storedType else { return nil }
    guard dtype == nil else {
      let count = storedType.blockSize.map { byteCount / $0 } ?? elementCount
      return kernels.firstNonFinite(of: data, dtype: storedType, count: count)
    }
    let size = storedType.elementSize ?? 1
    return (0..<elementCount).first {
      kernels.firstNonFinite(of: data + place(of: $0) * size, dtype: storedType, count: 1) != nil
    }
  }
}
