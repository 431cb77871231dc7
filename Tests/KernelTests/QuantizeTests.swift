// QuantizeTests.swift -- from floats to blocks: the grid is a good one, each weight gets its nearest level, and what
// cannot be quantized is refused.

import CXverseKernels
import TestSupport
import Testing

/// A matrix of random weights, and what becomes of it.
private struct Original {
  let rows: Int
  let cols: Int
  var values: [Float]

  init(rows: Int, cols: Int, seed: UInt64 = 1) {
    (self.rows, self.cols) = (rows, cols)
    values = bellShaped(rows * cols, seed: seed)
  }

  init(rows: Int, cols: Int, repeating value: Float) {
    (self.rows, self.cols) = (rows, cols)
    values = [Float](repeating: value, count: rows * cols)
  }

  func quantized(
    _ format: BlockFormat, by set: KernelSet = .reference, threads: Int32 = 1, importance: [Float]? = nil
  ) throws -> QuantizedWeights {
    try QuantizedWeights(
      values, as: format, rows: rows, cols: cols, importance: importance, by: set.compute(threads: threads))
  }

  /// The largest magnitude in a row's group.
  func limit(_ row: Int, _ group: Int) -> Float {
    let end = min(cols, (group + 1) * XVK_GROUP)
    return values[row * cols + group * XVK_GROUP..<row * cols + end].reduce(0) { max($0, abs($1)) }
  }

  /// The squared error of the plain way: the largest magnitude of a group becomes 127, or -8 of codes -8 ... 7
  /// (llama.cpp's Q8_0 and Q4_0), the step an f16.
  func plainError(_ format: BlockFormat) -> Double {
    var error = 0.0
    for row in 0..<rows {
      for first in stride(from: 0, to: cols, by: XVK_GROUP) {
        let group = values[row * cols + first..<row * cols + min(cols, first + XVK_GROUP)]
        let extreme = group.reduce(0) { abs($1) > abs($0) ? $1 : $0 }
        let step = Float(Float16(format == .int8 ? abs(extreme) / 127 : extreme / -8))
        for value in group {
          let code = max(format == .int8 ? -127 : -8, min((value / step).rounded(), format == .int8 ? 127 : 7))
          error += Double(value - code * step) * Double(value - code * step)
        }
      }
    }
    return error
  }
}

@Suite("quantize")
struct QuantizeTests {
  static let shapes = [(1, 1), (7, 33), (16, 32), (33, 7), (17, 172), (20, 64)]

  @Test("gives each weight the nearest level of its group's grid", arguments: BlockFormat.chosen)
  func choosesNearestLevel(format: BlockFormat) throws {
    for (rows, cols) in Self.shapes {
      let original = Original(rows: rows, cols: cols)

      let w = try original.quantized(format)

      #expect(w.isQuantizable)
      for (index, value) in original.values.enumerated() {
        let (row, col) = (index / cols, index % cols)
        let grid = w.grid(row, col / XVK_GROUP)
        // The quotient is rounded to f32 before it is rounded to a code: 127 times 2^-23 of a step are lost at most.
        let code = Double(value) / grid.step + grid.zero
        let distance = abs(w.code(row, col) - min(max(code, grid.codes.lowerBound), grid.codes.upperBound))
        #expect(distance <= 0.5 + 0x1p-15, "\(rows) x \(cols) at \(index)")
        #expect(grid.codes.contains(w.code(row, col)))
      }
    }
  }

  @Test("errs less than plain rounding to the largest magnitude", arguments: BlockFormat.chosen)
  func beatsPlainRounding(format: BlockFormat) throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let original = Original(rows: 32, cols: 256, seed: seed)

      let error = try original.quantized(format).squaredError(to: original.values)

      #expect(error < original.plainError(format))
    }
  }

  @Test("errs less where it matters more", arguments: BlockFormat.chosen)
  func weighsErrors(format: BlockFormat) throws {
    let original = Original(rows: 32, cols: 256)
    var random = SeededRandom(seed: 2)
    // A few columns with most of the weight, as the inputs of a model have them.
    let importance = random.floats(256, in: 0...1).map { $0 * $0 * $0 * $0 }

    let weighed = try original.quantized(format, importance: importance)
    let plain = try original.quantized(format)

    #expect(
      weighed.squaredError(to: original.values, importance: importance)
        < plain.squaredError(to: original.values, importance: importance))
    #expect(try original.quantized(format, importance: [Float](repeating: 1, count: 256)).bytes == plain.bytes)
  }

  @Test("columns that do not matter at all can get any level, but a finite one", arguments: BlockFormat.chosen)
  func passesUnimportantColumns(format: BlockFormat) throws {
    let original = Original(rows: 3, cols: 64)
    // The second group has no weight anywhere, the first in one column.
    var importance = [Float](repeating: 0, count: 64)
    importance[5] = 1

    let w = try original.quantized(format, importance: importance)

    #expect(w.isQuantizable && w.weights.allSatisfy { $0.isFinite })
    for row in 0..<3 {
      let grid = w.grid(row, 0)
      #expect(abs(w.weight(row, 5) - Double(original.values[row * 64 + 5])) <= grid.step)
    }
  }

  @Test("gives the reference's blocks", arguments: KernelSet.optimized, BlockFormat.chosen)
  func agreesWithReference(set: KernelSet, format: BlockFormat) throws {
    for (rows, cols) in Self.shapes {
      let original = Original(rows: rows, cols: cols)
      let importance = bellShaped(cols, seed: 3).map { $0 * $0 }

      #expect(try original.quantized(format, by: set).bytes == original.quantized(format).bytes, "\(rows) x \(cols)")
      #expect(
        try original.quantized(format, by: set, importance: importance).bytes
          == original.quantized(format, importance: importance).bytes, "\(rows) x \(cols)")
    }
  }

  @Test("gives the same blocks on any number of threads", arguments: KernelSet.allCases, BlockFormat.chosen)
  func ignoresThreads(set: KernelSet, format: BlockFormat) throws {
    let original = Original(rows: 100, cols: 70)
    let alone = try original.quantized(format, by: set).bytes

    #expect(try original.quantized(format, by: set, threads: 2).bytes == alone)
    #expect(try original.quantized(format, by: set, threads: 3).bytes == alone)
  }

  @Test("keeps zeros, and fills up the last panel with them", arguments: KernelSet.allCases, BlockFormat.chosen)
  func keepsZeros(set: KernelSet, format: BlockFormat) throws {
    var original = Original(rows: 18, cols: 40)
    for col in 0..<40 { original.values[17 * 40 + col] = 0 }

    let w = try original.quantized(format, by: set)

    #expect((0..<40).allSatisfy { w.weight(17, $0) == 0 })
    for row in 18..<32 {
      #expect((0..<40).allSatisfy { w.weight(row, $0) == 0 && w.code(row, $0) == 0 }, "row \(row)")
    }
    #expect(try Original(rows: 16, cols: 32, repeating: 0).quantized(format, by: set).bytes.allSatisfy { $0 == 0 })
  }

  @Test("keeps a row of one value up to the rounding of its step", arguments: BlockFormat.chosen)
  func keepsConstantRows(format: BlockFormat) throws {
    for value in [1, -1, 0.3, -12.5, 0x1p-6, format.largestWeight, -format.largestWeight] {
      let w = try Original(rows: 3, cols: 45, repeating: value).quantized(format)

      // A step has 11 bits, or 6: half a unit of the last one.
      let tolerance = Double(abs(value)) * (format == .int8 ? 0x1p-11 : 0x1p-6)
      #expect(w.weights.allSatisfy { abs($0 - Double(value)) <= tolerance }, "\(value)")
    }
  }

  @Test("keeps a row with one weight that is not zero", arguments: BlockFormat.chosen)
  func keepsLoneWeights(format: BlockFormat) throws {
    for value in [1, -1, format.largestWeight, -format.largestWeight, 0x1p-6] {
      var original = Original(rows: 1, cols: 32, repeating: 0)
      original.values[7] = value

      let w = try original.quantized(format)

      let tolerance = Double(abs(value)) * (format == .int8 ? 0x1p-11 : 0x1p-6)
      #expect(abs(w.weight(0, 7) - Double(value)) <= tolerance, "\(value)")
      #expect((0..<32).allSatisfy { $0 == 7 || abs(w.weight(0, $0)) <= w.grid(0, 0).step / 2 })
    }
  }

  @Test("small weights lose bits, not their sense", arguments: BlockFormat.chosen)
  func keepsSmallWeights(format: BlockFormat) throws {
    for exponent in [-12, -16, -20, -24, -28, -32, -60, -126] {
      let scale = Float(sign: .plus, exponent: exponent, significand: 1)
      var original = Original(rows: 16, cols: 64)
      for index in original.values.indices { original.values[index] *= scale }

      let w = try original.quantized(format)

      #expect(w.isQuantizable)
      for (index, value) in original.values.enumerated() {
        let limit = original.limit(index / 64, index % 64 / XVK_GROUP)
        #expect(abs(w.weight(index / 64, index % 64) - Double(value)) <= Double(limit), "2^\(exponent)")
      }
    }
  }

  @Test(
    "refuses what is not finite or too large, wherever it stands", arguments: KernelSet.allCases, BlockFormat.chosen)
  func refusesOutliers(set: KernelSet, format: BlockFormat) throws {
    let tooLarge = format.largestWeight.nextUp
    let bad: [Float] = [.nan, -.nan, .infinity, -.infinity, tooLarge, -tooLarge, 1e30]
    for (rows, cols) in [(1, 1), (33, 70)] {
      for place in [0, rows * cols / 2, rows * cols - 1] {
        for value in bad {
          var original = Original(rows: rows, cols: cols)
          original.values[place] = value
          #expect(try !original.quantized(format, by: set).isQuantizable, "\(value) at \(place)")
          #expect(try !original.quantized(format, by: set, threads: 2).isQuantizable, "\(value) at \(place)")
        }
      }
    }
  }

  @Test("takes weights up to the limit of both signs", arguments: KernelSet.allCases, BlockFormat.chosen)
  func takesLargestWeights(set: KernelSet, format: BlockFormat) throws {
    var original = Original(rows: 16, cols: 32)
    let limit = format.largestWeight
    for index in original.values.indices { original.values[index] = limit * [1, -1, 0.02][index % 3] }
    // An odd choice of what matters, which draws the step away from the range.
    for importance in [nil, (0..<32).map { $0 == 2 ? 1 : 1e-6 }] as [[Float]?] {
      let w = try original.quantized(format, by: set, importance: importance)

      #expect(w.isQuantizable && w.weights.allSatisfy { $0.isFinite })
    }
  }
}
