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

  @Test(
    "weight rows begin at their own bytes in every dtype",
    arguments: [
      (DType.float32, 2, 24), (.float16, 2, 12), (.bfloat16, 2, 12), (.int8, 32, 1088), (.int4, 32, 576),
      (.int4F16, 32, 608),
    ])
  func viewsWeightRows(dtype: DType, row: Int, offset: Int) {
    let bytes = [UInt8](repeating: 0, count: 1 + 2 * offset)
    bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      let weights = WeightMatrix(data: start + 1, dtype: dtype, rows: 2 * row, columns: 3)

      let rows = weights.rows(row..<2 * row)

      #expect(weights.byteCount == 2 * offset)
      #expect(rows.data - start == 1 + offset)
      #expect(rows.rows == row)
      #expect(rows.columns == 3)
      #expect(rows.dtype == dtype)
    }
  }
}

extension MatrixTests {
  @Test("weight columns begin at their own bytes in every dtype and keep the stride", arguments: DType.allCases)
  func viewsWeightColumns(dtype: DType) {
    let (first, offsets) = (64, [256, 128, 128, 2 * 544, 2 * 288, 2 * 304])
    let bytes = [UInt8](repeating: 0, count: 1 + dtype.byteCount(rows: 40, columns: 172))
    bytes.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      let weights = WeightMatrix(data: start + 1, dtype: dtype, rows: 40, columns: 172)

      let columns = weights.columns(first..<170)
      let both = weights.rows(16..<40).columns(first..<170)

      #expect(weights.stride == dtype.byteCount(rows: dtype.rowsPerPanel, columns: 172))
      #expect(columns.data - start == 1 + offsets[Int(dtype.rawValue)])
      #expect(columns.rows == 40 && columns.columns == 106 && columns.stride == weights.stride)
      #expect(columns.byteCount == dtype.byteCount(rows: 40, columns: 106))
      #expect(columns.rows(16..<40).data == both.data && both.stride == weights.stride && both.rows == 24)
      #expect(both.data - columns.data == 16 / dtype.rowsPerPanel * weights.stride)
    }
  }
}

@Suite("DType")
struct DTypeTests {
  @Test("has the size and the name of its format")
  func hasSizes() {
    #expect(DType.allCases.map(\.elementSize) == [4, 2, 2, nil, nil, nil])
    #expect(DType.allCases.map(\.blockSize) == [nil, nil, nil, 544, 288, 304])
    #expect(DType.allCases.map(\.name) == ["f32", "f16", "bf16", "int8", "int4", "int4_f16"])
    #expect(DType.allCases.map(\.isQuantized) == [false, false, false, true, true, true])
    #expect(DType.allCases.map(\.rowsPerPanel) == [1, 1, 1, 16, 16, 16])
  }

  @Test(
    "counts the bytes of a matrix, whole blocks of 16 rows and 32 columns for quantized ones",
    arguments: [
      (1, 1, [4, 2, 2, 544, 288, 304]), (16, 32, [2048, 1024, 1024, 544, 288, 304]),
      (17, 32, [2176, 1088, 1088, 1088, 576, 608]), (16, 33, [2112, 1056, 1056, 1088, 576, 608]),
      (172, 64, [44032, 22016, 22016, 22 * 544, 22 * 288, 22 * 304]),
      (33, 172, [22704, 11352, 11352, 18 * 544, 18 * 288, 18 * 304]), (0, 5, [0, 0, 0, 0, 0, 0]),
    ])
  func countsBytes(rows: Int, columns: Int, expected: [Int]) {
    #expect(DType.allCases.map { $0.byteCount(rows: rows, columns: columns) } == expected)
  }

  @Test("stores floats as a matrix and blocks by panels and groups")
  func storesShapes() {
    #expect(DType.bfloat16.storedShape(rows: 33, columns: 172) == [33, 172])
    #expect(DType.int8.storedShape(rows: 33, columns: 172) == [3, 6, 544])
    #expect(DType.int4.storedShape(rows: 32, columns: 64) == [2, 2, 288])
    #expect(DType.int4F16.storedShape(rows: 17, columns: 64) == [2, 2, 304])
    #expect([0, 1, 32, 33].map { DType.groupCount(columns: $0) } == [0, 1, 1, 2])
  }

  @Test("takes 8.5 bits a weight for int8, 4.5 for int4 and 4.75 for int4_f16")
  func takesBits() {
    #expect(DType.int8.byteCount(rows: 4096, columns: 11008) * 16 == 17 * 4096 * 11008)
    #expect(DType.int4.byteCount(rows: 4096, columns: 11008) * 16 == 9 * 4096 * 11008)
    #expect(DType.int4F16.byteCount(rows: 4096, columns: 11008) * 32 == 19 * 4096 * 11008)
  }
}
