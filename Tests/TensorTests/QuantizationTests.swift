// QuantizationTests.swift -- Kernels.quantize: a matrix may be quantized in parts, as weights are that are widened in
// parts.

import TestSupport
import Testing

@testable import XverseTensors

@Suite("Kernels.quantize")
struct QuantizationTests {
  /// The blocks of `values [rows, columns]`, quantized in parts of `rowsPerPart` rows; nil when a part is refused.
  private func blocks(
    of values: [Float], rows: Int, columns: Int, as dtype: DType, rowsPerPart: Int
  ) throws -> [UInt8]? {
    let kernels = try Kernels(threadCount: 2)
    let arena = ScratchArena(allocator: .system)
    let matrix = try arena.matrix(rows: rows, columns: columns)
    matrix.data.update(from: values, count: values.count)
    var bytes = [UInt8](repeating: 0xA5, count: dtype.byteCount(rows: rows, columns: columns))
    let isQuantizable = bytes.withUnsafeMutableBytes { bytes in
      stride(from: 0, to: rows, by: rowsPerPart).allSatisfy { row in
        kernels.quantize(
          matrix.rows(row..<min(rows, row + rowsPerPart)), to: dtype,
          at: bytes.baseAddress.unsafelyUnwrapped + dtype.byteCount(rows: row, columns: columns), importance: nil)
      }
    }
    return isQuantizable ? bytes : nil
  }

  @Test("gives the same blocks in parts of whole panels", arguments: [DType.int8, .int4], [16, 48])
  func quantizesInParts(dtype: DType, rowsPerPart: Int) throws {
    var random = SeededRandom(seed: 1)
    let values = random.floats(75 * 45)
    let whole = try #require(try blocks(of: values, rows: 75, columns: 45, as: dtype, rowsPerPart: 75))

    let parts = try blocks(of: values, rows: 75, columns: 45, as: dtype, rowsPerPart: rowsPerPart)

    #expect(parts == whole)
  }

  @Test("says so when a weight cannot be quantized", arguments: [DType.int8, .int4], [Float.nan, .infinity, 65, 4097])
  func refuses(dtype: DType, value: Float) throws {
    var values = [Float](repeating: 0.5, count: 20 * 45)
    values[19 * 45 + 44] = value

    let isPossible = value <= Float(dtype.largestQuantizable)
    #expect(try (blocks(of: values, rows: 20, columns: 45, as: dtype, rowsPerPart: 20) != nil) == isPossible)
  }
}
