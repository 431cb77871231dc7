// XverseModel+Verification.swift -- reads every weight once: a NaN or an infinity anywhere makes every answer worthless.

import XverseCore
import XverseFormats
import XverseTensors

extension XverseModel {
  /// The type of the matrices: "f32", "f16", "bf16", or "mixed".
  package var matrixTypeName: String {
    var types = Set(layers.flatMap(\.matrices).map(\.dtype))
    types.insert(embedding.dtype)
    types.insert(head.dtype)
    return types.count == 1 ? types.first.map(\.name) ?? "mixed" : "mixed"
  }

  /// Checks that every element of every weight is finite.
  ///
  /// - Parameter progress: Called before each tensor, and at the end, with bytes done of total.
  /// - Throws: `corrupt` naming the file, the tensor, the index and the value; what `progress` throws.
  package func verifyValues(
    of checkpoint: Checkpoint, progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    var tensors: [CheckpointTensor] = []
    for name in checkpoint.tensorNames where WeightNames.isUsed(name, by: configuration) {
      if let tensor = try checkpoint.tensor(named: name) { tensors.append(tensor) }
    }
    let total = tensors.reduce(0) { $0 + $1.byteCount }
    var done = 0
    for tensor in tensors {
      try progress(done, total)
      if let index = tensor.firstNonFinite {
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
  fileprivate var matrices: [WeightMatrix] {
    [attention.query, attention.key, attention.value, attention.output, mlp.gate, mlp.up, mlp.down]
  }
}

extension CheckpointTensor {
  /// The index of the first element whose exponent bits are all set; nil when every element is finite.
  fileprivate var firstNonFinite: Int? {
    switch dtype {
    case .float32: first(where: { (bits: UInt32) in bits & 0x7F80_0000 == 0x7F80_0000 })
    case .float16: first(where: { (bits: UInt16) in bits & 0x7C00 == 0x7C00 })
    case .bfloat16: first(where: { (bits: UInt16) in bits & 0x7F80 == 0x7F80 })
    }
  }

  private func first<Bits: FixedWidthInteger & BitwiseCopyable>(where isNonFinite: (Bits) -> Bool) -> Int? {
    let size = MemoryLayout<Bits>.size
    for index in 0..<byteCount / size
    where isNonFinite(Bits(littleEndian: data.loadUnaligned(fromByteOffset: index * size, as: Bits.self))) {
      return index
    }
    return nil
  }
}
