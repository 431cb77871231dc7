// Matrix.swift -- the two kinds of matrix of the forward pass: activations that a pass computes, weights that a
// checkpoint holds. Both are views; who owns the memory stands in their comments.

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

/// Weights `[rows, columns]` = `[outputs, inputs]`, row-major, in the checkpoint's own type and at any byte address.
/// Valid as long as the checkpoint that it was taken from.
package struct WeightMatrix: @unchecked Sendable {
  package let data: UnsafeRawPointer
  package let dtype: DType
  package let rows: Int
  package let columns: Int

  package init(data: UnsafeRawPointer, dtype: DType, rows: Int, columns: Int) {
    self.data = data
    self.dtype = dtype
    self.rows = rows
    self.columns = columns
  }

  package var byteCount: Int { rows * columns * dtype.size }

  func rows(_ range: Range<Int>) -> WeightMatrix {
    WeightMatrix(
      data: data + range.lowerBound * columns * dtype.size, dtype: dtype, rows: range.count, columns: columns)
  }
}
