// ProductTests.swift -- Kernels.multiply: the product that a forward pass spends its time in, whole and in parts.

import CXverseKernels
import TestSupport
import Testing
import XverseCore

@testable import XverseTensors

extension Kernels {
  /// `y [tokens, width]` with the product in columns `column ...`, and `untouched` elsewhere.
  fileprivate func product(
    _ x: [Float], _ weights: WeightMatrix, column: Int = 0, width: Int? = nil, cancellation: Cancellation? = nil
  ) throws -> [Float] {
    let tokens = x.count / weights.columns
    let width = width ?? weights.rows
    var y = [Float](repeating: untouched, count: tokens * width)
    try multiply(into: &y, x, weights, column: column, width: width, cancellation: cancellation)
    return y
  }

  /// The products of one x with three matrices, by one call.
  fileprivate func products(_ x: [Float], _ weights: [WeightData]) throws -> [[Float]] {
    let (tokens, columns) = (x.count / weights[0].columns, weights[0].columns)
    let arena = ScratchArena(allocator: .system)
    let input = try arena.matrix(rows: tokens, columns: columns)
    input.data.update(from: x, count: x.count)
    let y = try weights.map { try arena.matrix(rows: tokens, columns: $0.rows) }
    let scratch = try arena.floats(productScratch(tokens: tokens, columns: columns))
    try weights[0].withMatrix { first in
      try weights[1].withMatrix { second in
        try weights[2].withMatrix { third in
          try multiply(
            input, Product(first, into: y[0]), Product(second, into: y[1]), Product(third, into: y[2]),
            scratch: scratch, cancellation: nil)
        }
      }
    }
    return y.map { Array(UnsafeBufferPointer(start: $0.data, count: $0.rows * $0.columns)) }
  }

  /// - Parameter deadline: Milliseconds from the beginning of the product until `cancellation` ends it.
  fileprivate func multiply(
    into y: inout [Float], _ x: [Float], _ weights: WeightMatrix, column: Int = 0, width: Int,
    cancellation: Cancellation? = nil, deadline: Int64? = nil
  ) throws {
    let tokens = x.count / weights.columns
    var x = x
    var scratch = [Float](repeating: .nan, count: max(1, productScratch(tokens: tokens, columns: weights.columns)))
    try y.withUnsafeMutableBufferPointer { y in
      try x.withUnsafeMutableBufferPointer { x in
        if let deadline { cancellation?.reset(deadlineAfter: deadline) }
        let y = Matrix(data: y.baseAddress.unsafelyUnwrapped, rows: tokens, columns: width)
        try multiply(
          Matrix(data: x.baseAddress.unsafelyUnwrapped, rows: tokens, columns: weights.columns),
          Product(weights, into: y, column: column), scratch: &scratch, cancellation: cancellation)
      }
    }
  }
}

@Suite("Kernels.multiply")
struct ProductTests {
  @Test("agrees with float64 in every dtype of floats", arguments: availableSets, DType.floats)
  func agreesWithFloat64(set: Kernels.InstructionSet, dtype: DType) throws {
    let kernels = try Kernels(instructionSet: set, threadCount: 2)
    for (tokens, rows, columns) in [(1, 1, 1), (1, 7, 33), (2, 5, 40), (31, 17, 9), (32, 33, 172), (65, 3, 8)] {
      var random = SeededRandom(seed: 5)
      let x = random.floats(tokens * columns)
      let weights = try WeightData(rows: rows, columns: columns, dtype: dtype, seed: 6)

      let y = try weights.withMatrix { try kernels.product(x, $0) }

      for (index, value) in y.enumerated() {
        let terms = (0..<columns).map { column in
          Double(x[index / rows * columns + column]) * Double(weights.values[index % rows * columns + column])
        }
        // A term passes one product and at most `columns` additions, each off by half an ulp of a partial sum, which
        // the sum of magnitudes bounds.
        let tolerance = Double(columns + 1) * 0x1p-24 * terms.reduce(0) { $0 + abs($1) }
        #expect(abs(Double(value) - terms.reduce(0, +)) <= tolerance, "\(tokens) x \(rows) x \(columns) at \(index)")
      }
    }
  }

  @Test("fills the columns from the offset on and no others", arguments: availableSets, [1, 5, 40])
  func fillsColumns(set: Kernels.InstructionSet, tokens: Int) throws {
    let kernels = try Kernels(instructionSet: set, threadCount: 1)
    var random = SeededRandom(seed: 8)
    let x = random.floats(tokens * 24)
    let weights = try WeightData(rows: 19, columns: 24, dtype: .bfloat16, seed: 9)
    let alone = try weights.withMatrix { try kernels.product(x, $0) }

    let y = try weights.withMatrix { try kernels.product(x, $0, column: 13, width: 40) }

    for token in 0..<tokens {
      let row = y[token * 40..<(token + 1) * 40]
      #expect(Array(row.dropFirst(13).prefix(19)) == Array(alone[token * 19..<(token + 1) * 19]))
      #expect(row.prefix(13).allSatisfy { $0.bitPattern == untouched.bitPattern })
      #expect(row.dropFirst(13 + 19).allSatisfy { $0.bitPattern == untouched.bitPattern })
    }
  }

  @Test("slices of a matrix give the bits of the whole", arguments: availableSets, DType.allCases)
  func slicesGiveSameBits(set: Kernels.InstructionSet, dtype: DType) throws {
    let kernels = try Kernels(instructionSet: set, threadCount: 2)
    let slice = 512
    let rows = 2 * slice + 37
    let weights = try WeightData(rows: rows, columns: 45, dtype: dtype, seed: 10)
    for tokens in [1, 5, 47, 97] {
      var random = SeededRandom(seed: 11)
      let x = random.floats(tokens * 45)
      let whole = try weights.withMatrix { try kernels.product(x, $0) }
      var parts = [Float](repeating: untouched, count: whole.count)

      try weights.withMatrix { weights in
        for start in stride(from: 0, to: rows, by: slice) {
          let part = weights.rows(start..<min(rows, start + slice))
          try kernels.multiply(into: &parts, x, part, column: start, width: rows)
        }
      }

      let isSame = sameBits(whole, parts)
      #expect(isSame, "\(tokens) tokens")
    }
  }

  @Test("a view of columns multiplies and widens as those columns", arguments: availableSets, DType.allCases)
  func multipliesColumns(set: Kernels.InstructionSet, dtype: DType) throws {
    let kernels = try Kernels(instructionSet: set, threadCount: 2)
    let weights = try WeightData(rows: 37, columns: 172, dtype: dtype, seed: 16)
    let slice = 32..<150
    let x = activations(tokens: 3, columns: slice.count)
    var widened = [Float](repeating: untouched, count: 37 * slice.count)
    try weights.withMatrix { whole in
      let view = whole.columns(slice)
      widened.withUnsafeMutableBufferPointer {
        kernels.widen(
          view, into: Matrix(data: $0.baseAddress.unsafelyUnwrapped, rows: 37, columns: slice.count))
      }
      let y = try kernels.product(x, view)

      for (index, value) in y.enumerated() {
        let (token, row) = (index / 37, index % 37)
        let terms = slice.indices.map {
          Double(x[token * slice.count + $0 - 32]) * Double(weights.values[row * 172 + $0])
        }
        // Floats: as in `agreesWithFloat64`. Blocks round x to 8 or 16 bits: by half a unit of a group whose largest
        // magnitude, at most 1, is more than half of 127 or 32767 units, or by a whole one where it is one more.
        let rounding = dtype.isQuantized ? 1.0 / (dtype == .int8 ? 32767 : 127) : 0
        let magnitude = slice.reduce(0) { $0 + Double(abs(weights.values[row * 172 + $1])) }
        let tolerance = (Double(slice.count + 1) * 0x1p-24 + rounding) * magnitude
        #expect(abs(Double(value) - terms.reduce(0, +)) <= tolerance, "\(token), \(row)")
      }
    }
    #expect(sameBits(widened, (0..<37).flatMap { weights.values[$0 * 172 + 32..<$0 * 172 + 150] }))
  }

  private func activations(tokens: Int, columns: Int) -> [Float] {
    var random = SeededRandom(seed: 17)
    return random.floats(tokens * columns)
  }

  // Where the types differ, each product is a call of its own.
  @Test(
    "several products of one x have the bits of each alone", arguments: availableSets,
    DType.allCases.map { [$0, $0, $0] } + [
      [.int4, .int8, .int4], [.int4F16, .int4, .int4], [.float32, .int4, .bfloat16], [.int8, .int8, .float16],
    ])
  func multipliesTogether(set: Kernels.InstructionSet, dtypes: [DType]) throws {
    let kernels = try Kernels(instructionSet: set, threadCount: 2)
    let weights = try zip([40, 17, 33], dtypes).map { try WeightData(rows: $0, columns: 45, dtype: $1, seed: 14) }
    for tokens in [1, 5] {
      var random = SeededRandom(seed: 15)
      let x = random.floats(tokens * 45)
      let alone = try weights.map { weights in try weights.withMatrix { try kernels.product(x, $0) } }

      let together = try kernels.products(x, weights)

      for (index, y) in together.enumerated() {
        let isSame = sameBits(y, alone[index])
        #expect(isSame, "\(tokens) tokens, product \(index)")
      }
    }
  }

  @Test("a flag that is up before the product leaves the output untouched", arguments: [1, 40])
  func cancelsBefore(tokens: Int) throws {
    let kernels = try Kernels(threadCount: 1)
    let weights = try WeightData(rows: 20, columns: 16, dtype: .float32, seed: 12)
    let x = [Float](repeating: 1, count: tokens * 16)
    let cancellation = Cancellation()
    cancellation.trigger()
    var y = [Float](repeating: untouched, count: tokens * 20)

    let error = #expect(throws: XverseError.self) {
      try weights.withMatrix { try kernels.multiply(into: &y, x, $0, width: 20, cancellation: cancellation) }
    }

    #expect(error?.code == .cancelled)
    #expect(y.allSatisfy { $0.bitPattern == untouched.bitPattern })
  }
}

/// A product of more than 2^33 multiply-adds, which is cut into parts: 1024 tokens, 4096 rows in the first part.
private struct HugeProduct {
  static let tokens = 1024
  static let columns = 2048
  static let firstPart = 4096
  static let rows = firstPart + 512 + 37

  let x: [Float]
  let weights: [UInt16]

  init() {
    var random = SeededRandom(seed: 13)
    // Random numbers with a prime period: every row begins elsewhere in them, and they are made quickly.
    let block = random.floats(1009)
    x = (0..<Self.tokens * Self.columns).map { block[$0 % 1009] }
    let upper = random.floats(2003).map { UInt16($0.bitPattern >> 16) }
    weights = (0..<Self.rows * Self.columns).map { upper[$0 % 2003] }
  }

  func withMatrix<Result>(_ body: (WeightMatrix) throws -> Result) rethrows -> Result {
    try weights.withUnsafeBytes { bytes in
      try body(
        WeightMatrix(
          data: bytes.baseAddress.unsafelyUnwrapped, dtype: .bfloat16, rows: Self.rows, columns: Self.columns))
    }
  }

  /// The product by one call of the kernel.
  func uncut(_ kernels: Kernels) -> [Float] {
    var y = [Float](repeating: untouched, count: Self.tokens * Self.rows)
    var scratch = [Float](
      repeating: .nan, count: kernels.productScratch(tokens: Self.tokens, columns: Self.columns))
    weights.withUnsafeBytes { weights in
      y.withUnsafeMutableBufferPointer { y in
        let matrix = xvk_weights(
          data: weights.baseAddress, dtype: XVK_BF16, rows: Int64(Self.rows), cols: Int64(Self.columns),
          stride: Int64(2 * Self.columns))
        var product = xvk_product(y: y.baseAddress, y_stride: Int64(Self.rows), w: matrix)
        kernels.withCompute { xvk_gemm($0, &product, 1, x, Int64(Self.tokens), &scratch) }
      }
    }
    return y
  }
}

@Suite("Kernels.multiply in parts", .serialized)
struct PartedProductTests {
  private static let product = HugeProduct()

  @Test("agrees with the product that is not cut")
  func agreesWithUncut() throws {
    let kernels = try Kernels(threadCount: 2)
    let whole = Self.product.uncut(kernels)

    let parts = try Self.product.withMatrix { try kernels.product(Self.product.x, $0) }

    // Both err by at most (columns + 1) * 2^-24 of the sum of magnitudes, which `columns` bounds: no number is above 1.
    // The products themselves are about sqrt(columns) / 3 = 15.
    let tolerance = Float(2 * (HugeProduct.columns + 1) * HugeProduct.columns) * 0x1p-24
    let worst = zip(whole, parts).reduce(0) { $1.0.isNaN || $1.1.isNaN ? .infinity : max($0, abs($1.0 - $1.1)) }
    #expect(worst <= tolerance)
  }

  @Test("gives the same bits on any number of threads", arguments: [1, 3])
  func ignoresThreads(threadCount: Int) throws {
    let expected = try Self.product.withMatrix { try Kernels(threadCount: 2).product(Self.product.x, $0) }

    let found = try Self.product.withMatrix { try Kernels(threadCount: threadCount).product(Self.product.x, $0) }

    let isSame = sameBits(expected, found)
    #expect(isSame)
  }

  @Test("ends between parts, and the next product is right")
  func endsBetweenParts() throws {
    let kernels = try Kernels(threadCount: 2)
    let product = Self.product
    let expected = try product.withMatrix { try kernels.product(product.x, $0) }
    let cancellation = Cancellation()
    var y = [Float](repeating: untouched, count: HugeProduct.tokens * HugeProduct.rows)

    // No two threads do 2^33 multiply-adds in two milliseconds: the deadline passes before the second part.
    let error = #expect(throws: XverseError.self) {
      try product.withMatrix {
        try kernels.multiply(
          into: &y, product.x, $0, width: HugeProduct.rows, cancellation: cancellation, deadline: 2)
      }
    }
    let hasBegun = y[0] == expected[0]
    let isUntouched = stride(from: HugeProduct.firstPart, to: y.count, by: HugeProduct.rows).allSatisfy {
      y[$0].bitPattern == untouched.bitPattern
    }
    try product.withMatrix { try kernels.multiply(into: &y, product.x, $0, width: HugeProduct.rows) }

    #expect(error?.code == .deadline)
    #expect(hasBegun)
    #expect(isUntouched)
    let isSame = sameBits(y, expected)
    #expect(isSame)
  }
}
