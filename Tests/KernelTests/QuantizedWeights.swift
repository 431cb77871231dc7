// QuantizedWeights.swift -- matrices in blocks of int8, int4 and int4_f16, and what their bytes stand for, read as
// CXverseKernels/quantized.h draws them.

import CXverseKernels
import TestSupport
import Testing

enum BlockFormat: CaseIterable, CustomTestStringConvertible {
  case int8, int4, int4F16

  /// Those that the library chooses codes for.
  static let chosen: [BlockFormat] = [.int8, .int4]

  var testDescription: String { "\(self)" }

  var blockSize: Int {
    switch self {
    case .int8: XVK_INT8_BLOCK
    case .int4: XVK_INT4_BLOCK
    case .int4F16: XVK_INT4_F16_BLOCK
    }
  }

  /// The largest magnitude that can be quantized.
  var largestWeight: Float { Float(self == .int8 ? XVK_INT8_LIMIT : XVK_INT4_LIMIT) }

  var dtype: xvk_dtype {
    switch self {
    case .int8: XVK_INT8
    case .int4: XVK_INT4
    case .int4F16: XVK_INT4_F16
    }
  }

  /// Blocks of `values [rows, cols]` at `place`; what the driver returns.
  func quantize(
    _ compute: UnsafePointer<xvk_compute>, _ place: UnsafeMutableRawPointer, _ values: [Float], _ importance: [Float]?,
    rows: Int, cols: Int
  ) -> Int32 {
    guard self != .int4F16 else { return ForeignCodes(values, rows: rows, cols: cols).pack(compute, at: place) }
    return xvk_quantize(compute, dtype, place, values, importance, Int64(rows), Int64(cols))
  }

  /// Blocks at `start` as a matrix [rows, cols], panel after panel.
  func weights(_ start: UnsafeRawPointer?, rows: Int, cols: Int) -> xvk_weights {
    xvk_weights(
      data: start, dtype: dtype, rows: Int64(rows), cols: Int64(cols),
      stride: Int64(byteCount(rows: XVK_PANEL, cols: cols)))
  }

  /// The largest integer that an activation becomes.
  var largestActivation: Float { self == .int8 ? 32767 : 127 }

  func byteCount(rows: Int, cols: Int) -> Int {
    (rows + XVK_PANEL - 1) / XVK_PANEL * ((cols + XVK_GROUP - 1) / XVK_GROUP) * blockSize
  }
}

/// A quantized matrix `[rows, cols]` in guarded memory.
final class QuantizedWeights {
  let format: BlockFormat
  let rows: Int
  let cols: Int
  /// What the kernel that quantized it said.
  private(set) var isQuantizable = false
  var start: UnsafeRawPointer { UnsafeRawPointer(memory.start) }
  var view: xvk_weights { format.weights(start, rows: rows, cols: cols) }
  var bytes: [UInt8] {
    Array(UnsafeRawBufferPointer(start: start, count: format.byteCount(rows: rows, cols: cols)))
  }
  private let memory: GuardedMemory

  /// - Parameter fill: Writes the blocks to where it is told; what it returns is not 0 when that went well.
  init(
    _ format: BlockFormat, rows: Int, cols: Int, shift: Int = 0, _ fill: (UnsafeMutableRawPointer) -> Int32
  ) throws {
    (self.format, self.rows, self.cols) = (format, rows, cols)
    memory = try GuardedMemory(byteCount: format.byteCount(rows: rows, cols: cols), shift: shift)
    isQuantizable = fill(memory.start) != 0
  }

  /// `values [rows, cols]` quantized by the driver with the kernels of `compute`.
  convenience init(
    _ values: [Float], as format: BlockFormat, rows: Int, cols: Int, importance: [Float]? = nil, shift: Int = 0,
    by compute: xvk_compute
  ) throws {
    try self.init(format, rows: rows, cols: cols, shift: shift) { place in
      withUnsafePointer(to: compute) { format.quantize($0, place, values, importance, rows: rows, cols: cols) }
    }
  }

  /// The words behind the codes of the block of a row's group, which hold what the block knows of the row.
  private func word(_ row: Int, _ group: Int) -> UInt16 {
    let place = (format == .int8 ? 512 : 256) + 2 * (row % XVK_PANEL)
    return UInt16(littleEndian: block(row, group).loadUnaligned(fromByteOffset: place, as: UInt16.self))
  }

  private func block(_ row: Int, _ group: Int) -> UnsafeRawPointer {
    let groups = (cols + XVK_GROUP - 1) / XVK_GROUP
    return start + (row / XVK_PANEL * groups + group) * format.blockSize
  }

  /// Weights of a row in a group are `step * (code - zero)`.
  func grid(_ row: Int, _ group: Int) -> (step: Double, zero: Double, codes: ClosedRange<Double>) {
    let word = word(row, group)
    switch format {
    case .int8: return (Double(Float16(bitPattern: word)), 0, -127...127)
    case .int4: return (8 * Double(Float16(bitPattern: (word & 0xFF80) >> 2)), Double(word & 0x7F) / 8, 0...15)
    case .int4F16:
      let zero = block(row, group).load(fromByteOffset: 288 + row % XVK_PANEL, as: UInt8.self)
      return (Double(Float16(bitPattern: word)), Double(zero) / 8, 0...15)
    }
  }

  func code(_ row: Int, _ col: Int) -> Double {
    let (block, row, col) = (block(row, col / XVK_GROUP), row % XVK_PANEL, col % XVK_GROUP)
    guard format != .int8 else {
      return Double(block.loadUnaligned(fromByteOffset: (col / 2 * XVK_PANEL + row) * 2 + col % 2, as: Int8.self))
    }
    let byte = block.loadUnaligned(fromByteOffset: (col / 8 * XVK_PANEL + row) * 4 + col % 4, as: UInt8.self)
    return Double(col % 8 < 4 ? byte & 15 : byte >> 4)
  }

  func weight(_ row: Int, _ col: Int) -> Double {
    let grid = grid(row, col / XVK_GROUP)
    return grid.step * (code(row, col) - grid.zero)
  }

  /// All weights `[rows, cols]`.
  var weights: [Double] { (0..<rows).flatMap { row in (0..<cols).map { weight(row, $0) } } }

  /// The sum over all weights of `importance[col] * (weight - value)^2`.
  func squaredError(to values: [Float], importance: [Float]? = nil) -> Double {
    zip(weights, values).enumerated().reduce(0) { sum, element in
      let (index, (weight, value)) = element
      return sum + Double(importance?[index % cols] ?? 1) * (weight - Double(value)) * (weight - Double(value))
    }
  }
}

/// Numbers of a bell's shape, as weights and activations are.
func bellShaped(_ count: Int, seed: UInt64) -> [Float] {
  var random = SeededRandom(seed: seed)
  return (0..<count).map { _ in random.floats(4).reduce(0, +) }
}

/// Codes of 4 bits with scales and zero points, as files of other formats hold them.
struct ForeignCodes {
  let rows: Int
  let cols: Int
  var codes: [UInt8]
  var scales: [UInt16]
  var zeros: [UInt8]
  var groups: Int { (cols + XVK_GROUP - 1) / XVK_GROUP }

  /// Each group of `values [rows, cols]` from its smallest to its largest number, 0 among them.
  init(_ values: [Float], rows: Int, cols: Int) {
    (self.rows, self.cols) = (rows, cols)
    (codes, scales, zeros) = ([UInt8](repeating: 0, count: rows * cols), [], [])
    for row in 0..<rows {
      for first in stride(from: 0, to: cols, by: XVK_GROUP) {
        let places = row * cols + first..<row * cols + min(cols, first + XVK_GROUP)
        let low = values[places].reduce(0, min)
        let step = Float16((values[places].reduce(0, max) - low) / 15)
        let zero = step > 0 ? min((-8 * low / Float(step)).rounded(), 128) : 0
        scales.append(step.bitPattern)
        zeros.append(UInt8(zero))
        for place in places where step > 0 {
          codes[place] = UInt8(max(0, min((values[place] / Float(step) + zero / 8).rounded(), 15)))
        }
      }
    }
  }

  /// What the driver returns for blocks of these codes at `place`.
  func pack(_ compute: UnsafePointer<xvk_compute>?, at place: UnsafeMutableRawPointer?) -> Int32 {
    xvk_pack_int4_f16(compute, place, codes, scales, zeros, Int64(rows), Int64(cols))
  }
}
