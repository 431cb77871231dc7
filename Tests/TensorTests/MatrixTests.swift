// MatrixTests.swift -- the views of activations and weights.

import Testing

@testable import XverseTensors

@Suite("Matrix")
struct MatrixTests {
  @Test("rows are a view of the same memory")
  func viewsRows() {
    var values = (0..<12).map { Float($0) }
    values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      let matrix = Matrix(data: start, rows: 4, columns: 3)

      let middle = matrix.rows(1..<3)
      middle.data[0] = -1

      #expect(middle.rows == 2)
      #expect(middle.columns == 3)
      #expect(values[3] == -1)
      #expect(middle.rows(1..<2).data[2] == 8)
      #expect(matrix.rows(4..<4).rows == 0)
    }
  }

  @Test("weight rows begin at their own bytes in every dtype", arguments: DType.allCases)
  func viewsWeightRows(dtype: DType) {
    let bytes = (0..<100).map { UInt8($0) }
    bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      let weights = WeightMatrix(data: start + 1, dtype: dtype, rows: 4, columns: 3)

      let rows = weights.rows(2..<4)

      #expect(weights.byteCount == 12 * dtype.size)
      #expect(rows.data - start == 1 + 6 * dtype.size)
      #expect(rows.rows == 2)
      #expect(rows.columns == 3)
      #expect(rows.dtype == dtype)
    }
  }
}

@Suite("DType")
struct DTypeTests {
  @Test("has the size and the name of its format")
  func hasSizes() {
    #expect(DType.allCases.map(\.size) == [4, 2, 2])
    #expect(DType.allCases.map(\.name) == ["f32", "f16", "bf16"])
  }
}
