// CheckpointTensor.swift -- one tensor as it lies in a file.

import XverseTensors

/// A tensor as it stands in a checkpoint.
///
/// Ownership: `data` belongs to the checkpoint and lives as long as that.
package struct CheckpointTensor: @unchecked Sendable {
  package let name: String
  package let dtype: DType
  /// Row-major; empty for a scalar; for quantized weights `[panels, groups, bytes of a block]`.
  package let shape: [Int]
  /// `byteCount` bytes, little-endian, at any alignment.
  package let data: UnsafeRawPointer
  package let byteCount: Int
  /// The file that holds it, for messages.
  package let fileName: String
}

extension CheckpointTensor {
  /// Numbers in the tensor, those that fill up blocks among them.
  package var elementCount: Int {
    byteCount / (dtype.elementSize ?? dtype.blockSize ?? 1) * dtype.elementsPerBlock
  }
}
