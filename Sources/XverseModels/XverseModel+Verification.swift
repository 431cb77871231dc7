// XverseModel+Verification.swift -- reads every weight once: a NaN or an infinity anywhere makes every answer worthless.

import XverseCore
import XverseFormats
import XverseTensors

extension XverseModel {
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

extension CheckpointTensor {
  /// The index of the first element, or block, that is not finite; nil when all are.
  fileprivate func firstNonFinite(_ kernels: Kernels) -> Int? {
    guard let storedType else { return nil }
    guard dtype == nil else {
      let count = storedType.blockSize.map { byteCount / $0 } ?? elementCount
      return kernels.firstNonFinite(of: data, dtype: storedType, count: count)
    }
    // Strides leave gaps between the elements; only what is found among all numbers is looked for one by one.
    guard let size = storedType.elementSize,
      kernels.firstNonFinite(of: data, dtype: storedType, count: byteCount / size) != nil
    else { return nil }
    return (0..<elementCount).first {
      kernels.firstNonFinite(of: data + place(of: $0) * size, dtype: storedType, count: 1) != nil
    }
  }
}
