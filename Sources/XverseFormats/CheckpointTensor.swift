// CheckpointTensor.swift -- one tensor as it lies in a file.

import XverseCore
import XverseTensors

/// A tensor as it stands in a checkpoint.
///
/// Ownership: `data` belongs to the checkpoint and lives as long as that.
package struct CheckpointTensor: @unchecked Sendable {
  package let name: String
  let encoding: TensorEncoding
  /// Empty for a scalar; for quantized weights of our own `[panels, groups, bytes of a block]`.
  package let shape: [Int]
  /// Elements between neighbours of each dimension; nil for the row-major order.
  let strides: [Int]?
  /// `byteCount` bytes, little-endian, at any alignment.
  package let data: UnsafeRawPointer
  /// From the first element to the last.
  package let byteCount: Int
  /// The file that holds it, for messages.
  package let fileName: String
}

extension CheckpointTensor {
  /// The type as which the kernels take the bytes as they lie; nil for one that a `WeightImporter` must convert.
  package var dtype: DType? { strides == nil ? encoding.dtype(shape: shape) : nil }

  /// The type of the numbers, in whatever order they lie; nil for one that the kernels do not know.
  package var storedType: DType? { encoding.dtype(shape: shape) }

  /// The name of the encoding in messages and reports.
  package var typeName: String { storedType?.name ?? encoding.name }

  /// Where an element lies, counted in elements from the first one; for a tensor that is stored element by element.
  package func place(of element: Int) -> Int {
    guard let strides else { return element }
    var (rest, place) = (element, 0)
    for (size, stride) in zip(shape, strides).reversed() {
      place += rest % size * stride
      rest /= size
    }
    return place
  }

  /// Numbers in the tensor, those that fill up blocks among them.
  package var elementCount: Int {
    guard let dtype else {
      if shape.contains(0) { return 0 }
      return shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).overflow ? .max : $0 * $1 }
    }
    return byteCount / (dtype.elementSize ?? dtype.blockSize ?? 1) * dtype.elementsPerBlock
  }

  /// Whether all its bytes are 0.
  package var isZero: Bool { UnsafeRawBufferPointer(start: data, count: byteCount).allSatisfy { $0 == 0 } }

  /// The shape that a matrix `[rows, columns]`, or a vector `[columns]` without rows, has in this encoding.
  package func expectedShape(rows: Int?, columns: Int) -> [Int] {
    guard let rows else { return [columns] }
    return dtype?.storedShape(rows: rows, columns: columns) ?? [rows, columns]
  }

  /// - Throws: `unsupported` for an encoding that no weights have.
  package func requireWeights() throws(XverseError) {
    guard dtype != nil || encoding.isImportable(shape: shape) else { throw unsupportedEncoding }
  }

  var unsupportedEncoding: XverseError {
    .unsupported(
      "\(fileName): tensor '\(name.inMessage)' has dtype \(encoding.name) and shape \(shape), "
        + "expected F32, F16 or BF16, or blocks of int8, int4 or int4_f16: U8 and [panels, groups, 544, 288 or 304]")
  }
}
