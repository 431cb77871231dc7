// RowsTests.swift -- looking up rows of a weight matrix as f32.

import CXverseKernels
import TestSupport
import Testing

@Suite("rows")
struct RowsTests {
  private func rows(
    _ compute: xvk_compute, _ format: FloatFormat, of matrix: StoredNumbers, _ ids: [Int32]?, tokens: Int, cols: Int
  ) -> [Float] {
    var y = [Float](repeating: untouched, count: tokens * cols + 1)
    var weights = format.weights(matrix.start, rows: matrix.values.count / cols, cols: cols)
    withUnsafePointer(to: compute) { xvk_rows($0, &y, &weights, ids, Int64(tokens)) }
    return y
  }

  @Test("gives the rows that ids name, exactly", arguments: KernelSet.allCases, FloatFormat.allCases)
  func givesNamedRows(set: KernelSet, format: FloatFormat) throws {
    for cols in [1, 7, 33, 172] {
      let matrix = try StoredNumbers(random: 10 * cols, as: format, shift: 1, seed: 3)
      let ids: [Int32] = [3, 9, 0, 3]

      let y = rows(try set.compute(), format, of: matrix, ids, tokens: 4, cols: cols)

      let expected = ids.flatMap { matrix.values[Int($0) * cols..<(Int($0) + 1) * cols] } + [untouched]
      #expect(sameBits(y, expected), "\(cols) cols")
    }
  }

  @Test("gives the first rows in order without ids", arguments: KernelSet.allCases, FloatFormat.allCases)
  func givesFirstRows(set: KernelSet, format: FloatFormat) throws {
    let matrix = try StoredNumbers(random: 200 * 501, as: format, seed: 4)

    let y = rows(try set.compute(threads: 3), format, of: matrix, nil, tokens: 199, cols: 501)

    #expect(sameBits(y, Array(matrix.values[..<(199 * 501)]) + [untouched]))
  }

  @Test("widens all 65536 numbers of f16", arguments: KernelSet.allCases)
  func widensEveryFloat16(set: KernelSet) throws {
    let compute = try set.compute()
    let halves = (0...UInt16.max).map { $0 }
    var y = [Float](repeating: 0, count: halves.count)

    halves.withUnsafeBytes { bytes in
      var weights = FloatFormat.float16.weights(bytes.baseAddress, rows: 1, cols: halves.count)
      withUnsafePointer(to: compute) { xvk_rows($0, &y, &weights, nil, 1) }
    }

    // Float16 -> Float is exact; a signalling NaN becomes quiet in both.
    #expect(sameBits(y, halves.map { Float(Float16(bitPattern: $0)) }))
  }

  @Test("widens all 65536 numbers of bf16", arguments: KernelSet.allCases)
  func widensEveryBFloat16(set: KernelSet) throws {
    let compute = try set.compute()
    let numbers = (0...UInt16.max).map { $0 }
    var y = [Float](repeating: 0, count: numbers.count)

    numbers.withUnsafeBytes { bytes in
      var weights = FloatFormat.bfloat16.weights(bytes.baseAddress, rows: 1, cols: numbers.count)
      withUnsafePointer(to: compute) { xvk_rows($0, &y, &weights, nil, 1) }
    }

    #expect(sameBits(y, numbers.map { Float(bitPattern: UInt32($0) << 16) }))
  }
}
