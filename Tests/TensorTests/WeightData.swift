// WeightData.swift -- weights for the tests: bytes as a checkpoint holds them, and what they stand for.

import Glibc
import TestSupport

@testable import XverseTensors

/// Random weights `[rows, columns]`, stored from an odd byte on, as in a mapped file.
final class WeightData {
  let rows: Int
  let columns: Int
  let dtype: DType
  /// What is stored, as float32.
  let values: [Float]
  private let bytes: [UInt8]

  init(rows: Int, columns: Int, dtype: DType, seed: UInt64) throws {
    (self.rows, self.columns, self.dtype) = (rows, columns, dtype)
    var random = SeededRandom(seed: seed)
    let wanted = random.floats(rows * columns)
    switch dtype {
    case .float32:
      values = wanted
      bytes = [0] + wanted.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init) }
    case .float16:
      let halves = wanted.map { Float16($0) }
      values = halves.map { Float($0) }
      bytes = [0] + halves.flatMap { half in withUnsafeBytes(of: half.bitPattern.littleEndian, Array.init) }
    case .bfloat16:
      let upper = wanted.map { UInt16($0.bitPattern >> 16) }
      values = upper.map { Float(bitPattern: UInt32($0) << 16) }
      bytes = [0] + upper.flatMap { bits in withUnsafeBytes(of: bits.littleEndian, Array.init) }
    case .int8, .int4, .int4F16:
      (bytes, values) = try Self.quantized(wanted, rows, columns, dtype)
    }
  }

  private static func quantized(
    _ wanted: [Float], _ rows: Int, _ columns: Int, _ dtype: DType
  ) throws -> (bytes: [UInt8], values: [Float]) {
    let kernels = try Kernels(threadCount: 1)
    var (floats, values) = (wanted, wanted)
    var bytes = [UInt8](repeating: 0, count: 1 + dtype.byteCount(rows: rows, columns: columns))
    floats.withUnsafeMutableBufferPointer { floats in
      values.withUnsafeMutableBufferPointer { values in
        bytes.withUnsafeMutableBytes { bytes in
          let place = bytes.baseAddress.unsafelyUnwrapped + 1
          let matrix = Matrix(data: floats.baseAddress.unsafelyUnwrapped, rows: rows, columns: columns)
          if dtype == .int4F16 {
            Self.pack(matrix, at: UnsafeMutableRawBufferPointer(rebasing: bytes.dropFirst()), by: kernels)
          } else {
            _ = kernels.quantize(matrix, to: dtype, at: place, importance: nil)
          }
          kernels.widen(
            WeightMatrix(data: place, dtype: dtype, rows: rows, columns: columns),
            into: Matrix(data: values.baseAddress.unsafelyUnwrapped, rows: rows, columns: columns))
        }
      }
    }
    return (bytes, values)
  }

  /// Codes from -1 to 1 around 8, as Q4_0 has them.
  private static func pack(_ x: Matrix, at place: UnsafeMutableRawBufferPointer, by kernels: Kernels) {
    let codes = (0..<x.rows * x.columns).map { UInt8(max(0, min(15, (x.data[$0] * 7.5 + 8).rounded()))) }
    let groupCount = x.rows * DType.groupCount(columns: x.columns)
    let scales = (0..<groupCount).map { Float16(0.125 + 0.001 * Float($0 % 100)).bitPattern }
    let zeros = (0..<groupCount).map { UInt8(60 + $0 % 8) }
    codes.withUnsafeBufferPointer { codes in
      scales.withUnsafeBufferPointer { scales in
        zeros.withUnsafeBufferPointer { zeros in
          _ = kernels.pack(int4: codes, scales: scales, zeros: zeros, rows: x.rows, columns: x.columns, into: place)
        }
      }
    }
  }

  func withMatrix<Result>(_ body: (WeightMatrix) throws -> Result) rethrows -> Result {
    try bytes.withUnsafeBytes { bytes in
      try body(
        WeightMatrix(
          data: bytes.baseAddress.unsafelyUnwrapped + 1, dtype: dtype, rows: rows, columns: columns))
    }
  }
}

extension DType {
  /// Those whose numbers are stored one by one.
  static let floats = allCases.filter { !$0.isQuantized }
}

/// The sets of kernels that this CPU runs.
let availableSets = Kernels.InstructionSet.allCases.filter(\.isAvailable)

/// What fills memory that nothing may write: a NaN that no computation here gives.
let untouched = Float(bitPattern: 0x7FC1_2345)

/// Whether two arrays hold the same bits; NaN equals itself, 0 does not equal -0.
func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
  a.count == b.count
    && a.withUnsafeBytes { a in
      b.withUnsafeBytes { b in memcmp(a.baseAddress.unsafelyUnwrapped, b.baseAddress.unsafelyUnwrapped, a.count) == 0 }
    }
}
