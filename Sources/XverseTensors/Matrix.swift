// Matrix.swift -- the two kinds of matrix of the forward pass: activations that a pass computes, weights that a
// checkpoint holds. Both are views; who owns the memory stands in their comments.

import CXverseKernels
import XverseCore

/// Activations `[rows, columns]`, f32, row-major, in memory of a `ScratchArena`: valid until the arena is reset.
package struct Matrix {
  package let data: UnsafeMutablePointer<Float>
  package let rows: Int
  package let columns: Int

  package init(data: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
    self.data = data
    self.rows = rows
    self.columns = columns
  }

  /// Rows `range` as a matrix over the same memory.
  package func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    return Matrix(data: data + range.lowerBound * columns, rows: range.count, columns: columns)
  }
}

/// Weights `[rows, columns]` = `[outputs, inputs]`, row-major or in blocks, at any byte address. Valid as long as the
/// checkpoint or the memory that it was taken from.
package struct WeightMatrix: @unchecked Sendable {
  package let data: UnsafeRawPointer
  package let dtype: DType
  package let rows: Int
  package let columns: Int
  /// Bytes from one row to the next; from one panel of `dtype.rowsPerPanel` rows to the next for quantized ones.
  package let stride: Int

  /// - Parameter stride: nil when the rows, or panels, follow each other.
  package init(data: UnsafeRawPointer, dtype: DType, rows: Int, columns: Int, stride: Int? = nil) {
    self.data = data
    self.dtype = dtype
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? dtype.byteCount(rows: dtype.rowsPerPanel, columns: columns)
  }

  /// A matrix of this type and size that will be somewhere: it has no numbers, and nothing may read it.
  package init(planned dtype: DType, rows: Int, columns: Int) {
    self.init(data: Self.nowhere, dtype: dtype, rows: rows, columns: columns)
  }

  private static var nowhere: UnsafeRawPointer {
    UnsafeRawPointer(bitPattern: MemoryAllocator.alignment).unsafelyUnwrapped
  }

  package var isPlanned: Bool { data == Self.nowhere }

  /// Bytes of the weights alone. They are those at `data` unless this is a view of some columns, between whose rows
  /// those of the other columns stand.
  package var byteCount: Int { dtype.byteCount(rows: rows, columns: columns) }

  /// Rows `range`, which begins at a multiple of `dtype.rowsPerPanel`, as a matrix over the same memory.
  package func rows(_ range: Range<Int>) -> WeightMatrix {
    precondition(range.upperBound <= rows && range.lowerBound % dtype.rowsPerPanel == 0, "rows \(range) of \(rows)")
    return WeightMatrix(
      data: data + range.lowerBound / dtype.rowsPerPanel * stride, dtype: dtype, rows: range.count, columns: columns,
      stride: stride)
  }

  /// Columns `range`, which begins at a multiple of `dtype.columnsPerBlock`, as a matrix over the same memory.
  package func columns(_ range: Range<Int>) -> WeightMatrix {
    precondition(
      range.upperBound <= columns && range.lowerBound % dtype.columnsPerBlock == 0, "columns \(range) of \(columns)")
    return WeightMatrix(
      data: data + dtype.byteCount(rows: 1, columns: range.lowerBound), dtype: dtype, rows: rows, columns: range.count,
      stride: stride)
  }

  /// The same matrix as the kernels take it.
  var kernelWeights: xvk_weights {
    xvk_weights(data: data, dtype: dtype.kernelType, rows: Int64(rows), cols: Int64(columns), stride: Int64(stride))
  }
}
