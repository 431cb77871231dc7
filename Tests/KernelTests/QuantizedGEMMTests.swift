// QuantizedGEMMTests.swift -- y = x W^T for int8 and 4-bit weights, whose bits depend on nothing but x and W.

import CXverseKernels
import Glibc
import TestSupport
import Testing

/// A product y [tokens, rows] = x [tokens, cols] W^T [cols, rows].
private struct Product {
  let tokens: Int
  let x: StoredNumbers
  let w: QuantizedWeights

  init(
    _ format: BlockFormat, tokens: Int, rows: Int, cols: Int, shift: Int = 0,
    changing change: (inout [Float]) -> Void = { _ in }
  ) throws {
    self.tokens = tokens
    var x = bellShaped(tokens * cols, seed: 1)
    // Outliers, as the hidden states of models have them.
    for index in stride(from: 0, to: x.count, by: 97) { x[index] *= 20 }
    change(&x)
    self.x = try StoredNumbers(x, as: .float32)
    w = try QuantizedWeights(
      bellShaped(rows * cols, seed: 2), as: format, rows: rows, cols: cols, shift: shift,
      by: KernelSet.reference.compute())
  }

  /// y [tokens, stride] of some tokens, or all; gaps are filled with `untouched`. `parts` are rows of several products.
  func result(
    _ compute: xvk_compute, of range: Range<Int>? = nil, stride: Int? = nil, parts: [Int]? = nil
  ) -> [Float] {
    let stride = stride ?? w.rows
    let range = range ?? 0..<self.tokens
    let tokens = range.count
    var y = [Float](repeating: untouched, count: tokens * stride)
    withUnsafePointer(to: compute) { compute in
      var scratch = [Float](repeating: .nan, count: xvk_gemm_scratch(compute, Int64(tokens), Int64(w.cols)))
      y.withUnsafeMutableBufferPointer { y in
        var products: [xvk_product] = []
        var row = 0
        for count in parts ?? [w.rows] {
          products.append(
            xvk_product(
              y: y.baseAddress.map { $0 + row }, y_stride: Int64(stride),
              w: w.format.weights(
                w.start + w.format.byteCount(rows: row, cols: w.cols), rows: count, cols: w.cols)))
          row += count
        }
        xvk_gemm(
          compute, products, Int64(products.count), x.floats + range.lowerBound * w.cols, Int64(tokens), &scratch)
      }
    }
    return y
  }

  /// The activations of a token's group as they are multiplied: integers and their unit.
  func rounded(_ token: Int, _ group: Int) -> (integers: [Double], unit: Double, limit: Double) {
    let (x, limit) = self.group(token, group)
    let factor = factor(of: token)
    let unit = unit(limit, factor)
    let largest = w.format.largestActivation
    return (
      x.map { Double(max(-largest, min(($0 / unit).rounded(.toNearestOrEven), largest))) }, Double(unit), Double(limit)
    )
  }

  private func group(_ token: Int, _ group: Int) -> (x: ArraySlice<Float>, limit: Float) {
    let first = group * XVK_GROUP
    let x = x.values[token * w.cols + first..<token * w.cols + min(first + XVK_GROUP, w.cols)]
    return (x, x.reduce(0) { max($0, abs($1)) })
  }

  /// The factor times the power of two that make the largest magnitude at most one more than the largest integer.
  private func unit(_ limit: Float, _ factor: Float) -> Float {
    let power = limit / factor
    let exponent = Int(power.exponent) + (power.significand > 1 ? 1 : 0)
    return factor * Float(sign: .plus, exponent: exponent, significand: 1) / (w.format.largestActivation + 1)
  }

  /// Of eight in equal steps up to 2 the one whose units have the least sum of squares; int8 has 16 bits to spare.
  private func factor(of token: Int) -> Float {
    guard w.format != .int8 else { return 1 }
    let limits = (0..<(w.cols + XVK_GROUP - 1) / XVK_GROUP).map { group(token, $0).limit }
    let factors = (0..<8).map { Float(exp2(Double($0) / 8)) }
    let sums = factors.map { factor in limits.reduce(0) { $0 + pow(Double(unit($1, factor)), 2) } }
    return zip(factors, sums).min { $0.1 < $1.1 }?.0 ?? 1
  }
}

@Suite("gemm of quantized weights")
struct QuantizedGEMMTests {
  /// Widths of 64 and 172 occur in models; 16 and 32 are a panel and a group; 544 is deeper than what is unpacked at
  /// once.
  static let shapes = [(1, 1), (7, 33), (16, 32), (33, 7), (172, 64), (64, 172), (40, 544)]
  /// All that a tile of tokens can leave over, as many as floats are packed for, and more than are swept at a time.
  static let tokenCounts = Array(1...17) + [49, mostTokens]
  static let mostTokens = 99

  @Test("gives the reference's bits", arguments: KernelSet.optimized, BlockFormat.allCases)
  func agreesWithReference(set: KernelSet, format: BlockFormat) throws {
    let compute = try set.compute(threads: 2)
    for (rows, cols) in Self.shapes {
      let product = try Product(format, tokens: Self.mostTokens, rows: rows, cols: cols)
      let expected = product.result(try KernelSet.reference.compute())
      for tokens in Self.tokenCounts {
        // The last tokens, behind which nothing can be read.
        let y = product.result(compute, of: Self.mostTokens - tokens..<Self.mostTokens)

        #expect(sameBits(y, expected.suffix(tokens * rows)), "\(tokens) tokens, \(rows) x \(cols)")
      }
    }
  }

  @Test("is the product with the rounded activations", arguments: BlockFormat.allCases)
  func agreesWithRoundedActivations(format: BlockFormat) throws {
    for (rows, cols) in Self.shapes {
      let product = try Product(format, tokens: 3, rows: rows, cols: cols)
      let y = product.result(try KernelSet.reference.compute())
      let groups = (cols + XVK_GROUP - 1) / XVK_GROUP
      for (index, value) in y.enumerated() {
        let terms = (0..<groups).map { group in
          let x = product.rounded(index / rows, group)
          return x.integers.enumerated().reduce(0) {
            $0 + x.unit * $1.element * product.w.weight(index % rows, group * XVK_GROUP + $1.offset)
          }
        }
        // A group's sum is an exact integer and its scale a power of two; conversion and product round once, so does each sum
        // of groups, whose partial results the sum of magnitudes bounds, and at the end the factor and the product with it.
        let tolerance = Double(groups + 4) * halfULP * terms.reduce(0) { $0 + abs($1) }
        #expect(abs(Double(value) - terms.reduce(0, +)) <= tolerance, "\(rows) x \(cols) at \(index)")
      }
    }
  }

  @Test("is off by no more than the rounding of the activations", arguments: BlockFormat.allCases)
  func staysWithinBound(format: BlockFormat) throws {
    for (rows, cols) in Self.shapes {
      let product = try Product(format, tokens: 3, rows: rows, cols: cols)
      let y = product.result(try KernelSet.reference.compute())
      for (index, value) in y.enumerated() {
        let (token, row) = (index / rows, index % rows)
        var (exact, tolerance, magnitude) = (0.0, 0.0, 0.0)
        for col in 0..<cols {
          let (x, weight) = (Double(product.x.values[token * cols + col]), product.w.weight(row, col))
          let limit = product.rounded(token, col / XVK_GROUP).limit
          exact += x * weight
          // Half a unit, of which more than half of the largest integer make the limit; or a whole one where the limit is one
          // more than that.
          tolerance += limit * abs(weight) / Double(format.largestActivation)
          magnitude += limit * abs(weight)
        }
        tolerance += Double(cols / XVK_GROUP + 4) * halfULP * magnitude
        #expect(abs(Double(value) - exact) <= tolerance, "\(rows) x \(cols) at \(index)")
      }
    }
  }

  @Test("gives the same bits on any number of threads", arguments: KernelSet.allCases, BlockFormat.allCases)
  func ignoresThreads(set: KernelSet, format: BlockFormat) throws {
    for (tokens, rows, cols) in [(1, 531, 700), (5, 263, 300), (50, 77, 100)] {
      let product = try Product(format, tokens: tokens, rows: rows, cols: cols)
      let alone = product.result(try set.compute())

      for threads in [2, 3] as [Int32] {
        #expect(
          sameBits(product.result(try set.compute(threads: threads)), alone), "\(tokens) tokens, \(threads) threads")
      }
    }
  }

  @Test("gives a token the same bits alone and among others", arguments: KernelSet.allCases, BlockFormat.allCases)
  func ignoresOtherTokens(set: KernelSet, format: BlockFormat) throws {
    let compute = try set.compute(threads: 2)
    let product = try Product(format, tokens: Self.mostTokens, rows: 35, cols: 172)
    let alone = (0..<Self.mostTokens).flatMap { product.result(compute, of: $0..<$0 + 1) }
    for tokens in Self.tokenCounts.dropFirst() {
      let together = product.result(compute, of: 0..<tokens)

      #expect(sameBits(together, alone.prefix(tokens * 35)), "\(tokens) tokens")
    }
  }

  @Test("gives several products of one x the bits of each alone", arguments: KernelSet.allCases, BlockFormat.allCases)
  func multipliesTogether(set: KernelSet, format: BlockFormat) throws {
    for tokens in [1, 5, 48, 99] {
      let product = try Product(format, tokens: tokens, rows: 205, cols: 400)
      let whole = product.result(try set.compute())
      // Parts begin with a panel.
      for parts in [[16, 189], [64, 128, 13]] {
        for threads in 1...3 as ClosedRange<Int32> {
          let y = product.result(try set.compute(threads: threads), parts: parts)
          #expect(sameBits(y, whole), "\(tokens) tokens, \(parts), \(threads) threads")
        }
      }
    }
  }

  @Test("gives the same bits wherever the weights start", arguments: KernelSet.allCases, BlockFormat.allCases)
  func ignoresAlignment(set: KernelSet, format: BlockFormat) throws {
    let compute = try set.compute()
    for tokens in [1, 5] {
      let aligned = try Product(format, tokens: tokens, rows: 37, cols: 172).result(compute)

      let unaligned = try Product(format, tokens: tokens, rows: 37, cols: 172, shift: 3).result(compute)

      #expect(sameBits(aligned, unaligned), "\(tokens) tokens")
    }
  }

  @Test("writes nothing between the rows of a wider matrix", arguments: KernelSet.allCases, BlockFormat.allCases)
  func leavesGapsUntouched(set: KernelSet, format: BlockFormat) throws {
    let compute = try set.compute(threads: 2)
    for (tokens, rows) in [(1, 1), (1, 33), (6, 7), (6, 50), (49, 33)] {
      let product = try Product(format, tokens: tokens, rows: rows, cols: 64)
      let dense = product.result(compute)

      let wide = product.result(compute, stride: rows + 5)

      let parts = (0..<tokens).map { wide[$0 * (rows + 5)..<($0 + 1) * (rows + 5)] }
      #expect(sameBits(dense, parts.flatMap { $0.prefix(rows) }), "\(tokens) tokens, \(rows) rows")
      #expect(parts.allSatisfy { $0.suffix(5).allSatisfy { $0.bitPattern == untouched.bitPattern } })
    }
  }

  @Test("infinity and NaN spoil their token and no other", arguments: KernelSet.allCases, BlockFormat.allCases)
  func containsSpecialValues(set: KernelSet, format: BlockFormat) throws {
    let compute = try set.compute()
    let (rows, cols) = (33, 70)
    for tokens in [4, 7, 48] {
      let clean = try Product(format, tokens: tokens, rows: rows, cols: cols).result(compute)
      let spoiled = try Product(format, tokens: tokens, rows: rows, cols: cols) { x in
        x[1 * cols + 69] = .nan
        x[3 * cols] = -.infinity
      }

      let y = spoiled.result(compute)

      for token in 0..<tokens {
        let row = Array(y[token * rows..<(token + 1) * rows])
        if token == 1 || token == 3 {
          #expect(row.allSatisfy { $0.isNaN }, "token \(token) of \(tokens)")
          #expect(spoiled.result(compute, of: token..<token + 1).allSatisfy { $0.isNaN }, "token \(token) alone")
        } else {
          #expect(sameBits(row, Array(clean[token * rows..<(token + 1) * rows])), "token \(token) of \(tokens)")
        }
      }
    }
  }

  @Test(
    "groups of zeros, and of what is next to nothing, add nothing", arguments: KernelSet.allCases, BlockFormat.allCases)
  func ignoresZeros(set: KernelSet, format: BlockFormat) throws {
    let compute = try set.compute()
    let (rows, cols) = (17, 96)
    for nothing in [0, -0.0, 0x1p-101, Float.leastNonzeroMagnitude] {
      let partly = try Product(format, tokens: 5, rows: rows, cols: cols) { x in
        for token in 0..<5 { for col in 32..<64 { x[token * cols + col] = nothing } }
      }
      let wholly = try Product(format, tokens: 5, rows: rows, cols: cols) { x in
        for index in x.indices { x[index] = nothing }
      }
      let y = partly.result(compute)

      #expect(wholly.result(compute).allSatisfy { $0 == 0 })
      #expect(wholly.result(compute, of: 0..<1).allSatisfy { $0 == 0 })
      #expect(sameBits(y, partly.result(try KernelSet.reference.compute())))
      #expect(y.allSatisfy { $0.isFinite && $0 != 0 })
    }
  }

  @Test("the largest activations do not overflow", arguments: KernelSet.allCases, BlockFormat.allCases)
  func doesNotOverflow(set: KernelSet, format: BlockFormat) throws {
    let compute = try set.compute()
    let (rows, cols) = (16, 64)
    for value in [0x1p100, 1, -1] as [Float] {
      // Every weight and every activation at the end of its range, so that every sum is as large as it can be.
      let x = [Float](repeating: value, count: 5 * cols)
      let w = try QuantizedWeights(
        [Float](repeating: 0x1p-10, count: rows * cols), as: format, rows: rows, cols: cols,
        by: KernelSet.reference.compute())
      var y = [Float](repeating: 0, count: 5 * rows)
      withUnsafePointer(to: compute) { compute in
        var scratch = [Float](repeating: .nan, count: xvk_gemm_scratch(compute, 5, Int64(cols)))
        y.withUnsafeMutableBufferPointer { y in
          var product = xvk_product(y: y.baseAddress, y_stride: Int64(rows), w: w.view)
          xvk_gemm(compute, &product, 1, x, 5, &scratch)
        }
      }

      // Powers of two are one more than the largest integer.
      let stored = Double(value * format.largestActivation / (format.largestActivation + 1))
      let exact = (0..<cols).reduce(0) { $0 + stored * w.weight(0, $1) }
      #expect(y.allSatisfy { abs(Double($0) - exact) <= 8 * halfULP * abs(exact) })
    }
  }
}

@Suite("rows of quantized weights")
struct QuantizedRowsTests {
  @Test("are what the blocks say", arguments: KernelSet.allCases, BlockFormat.allCases)
  func decodesBlocks(set: KernelSet, format: BlockFormat) throws {
    for (rows, cols) in QuantizedGEMMTests.shapes {
      let w = try QuantizedWeights(
        bellShaped(rows * cols, seed: 3), as: format, rows: rows, cols: cols, by: KernelSet.reference.compute())
      let ids = [Int32(rows - 1), 0, Int32(rows / 2)]
      var y = [Float](repeating: untouched, count: 3 * cols + 1)

      var view = w.view
      withUnsafePointer(to: try set.compute(threads: 2)) { xvk_rows($0, &y, &view, ids, 3) }

      // A step of at most 11 bits times a level of at most 8 bits is exact.
      let expected = ids.flatMap { id in (0..<cols).map { Float(w.weight(Int(id), $0)) } }
      #expect(y.dropLast() == expected[...], "\(rows) x \(cols)")
      #expect(y.last?.bitPattern == untouched.bitPattern)
    }
  }
}
