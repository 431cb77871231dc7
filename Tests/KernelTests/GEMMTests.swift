// GEMMTests.swift -- y = x W^T of float weights: one token, a few, and many, which are packed and take turns.

import CXverseKernels
import TestSupport
import Testing

/// A product y [tokens, rows] = x [tokens, cols] W^T [cols, rows] of random numbers.
private struct Product {
  let format: FloatFormat
  let tokens: Int
  let rows: Int
  let cols: Int
  let x: StoredNumbers
  let w: StoredNumbers

  init(_ format: FloatFormat, tokens: Int, rows: Int, cols: Int, shift: Int = 0) throws {
    self.format = format
    (self.tokens, self.rows, self.cols) = (tokens, rows, cols)
    x = try StoredNumbers(random: tokens * cols, as: .float32, seed: 1)
    w = try StoredNumbers(random: rows * cols, as: format, shift: shift, seed: 2)
  }

  /// y [tokens, stride], gaps filled with `untouched`; `only` one token, or all.
  func result(_ compute: xvk_compute, stride: Int? = nil, only token: Int? = nil) -> [Float] {
    let stride = stride ?? rows
    let tokens = token == nil ? tokens : 1
    var y = [Float](repeating: untouched, count: tokens * stride)
    withUnsafePointer(to: compute) { compute in
      var scratch = [Float](repeating: .nan, count: xvk_gemm_scratch(compute, Int64(tokens), Int64(cols)))
      y.withUnsafeMutableBufferPointer { y in
        var product = xvk_product(
          y: y.baseAddress, y_stride: Int64(stride), w: format.weights(w.start, rows: rows, cols: cols))
        xvk_gemm(compute, &product, 1, x.floats + (token ?? 0) * cols, Int64(tokens), &scratch)
      }
    }
    return y
  }

  /// The rows of W in parts that fill one y, by one call.
  func result(_ compute: xvk_compute, parts: [Int]) -> [Float] {
    var y = [Float](repeating: untouched, count: tokens * rows)
    withUnsafePointer(to: compute) { compute in
      var scratch = [Float](repeating: .nan, count: xvk_gemm_scratch(compute, Int64(tokens), Int64(cols)))
      y.withUnsafeMutableBufferPointer { y in
        var products: [xvk_product] = []
        var row = 0
        for count in parts {
          products.append(
            xvk_product(
              y: y.baseAddress.map { $0 + row }, y_stride: Int64(rows),
              w: format.weights(w.start + row * cols * format.size, rows: count, cols: cols)))
          row += count
        }
        xvk_gemm(compute, products, Int64(products.count), x.floats, Int64(tokens), &scratch)
      }
    }
    return y
  }

  /// The largest |y - exact| / tolerance; not above 1 when every element is right.
  ///
  /// A term passes one product and at most `cols` additions, each off by half an ulp of a partial sum that is at most
  /// the sum of magnitudes.
  func worstError(_ y: [Float]) -> Double {
    var worst = 0.0
    for t in 0..<tokens {
      for r in 0..<rows {
        var exact = 0.0
        var magnitude = 0.0
        for c in 0..<cols {
          let term = Double(x.values[t * cols + c]) * Double(w.values[r * cols + c])
          exact += term
          magnitude += abs(term)
        }
        let error = abs(Double(y[t * rows + r]) - exact) / (Double(cols + 1) * halfULP * magnitude)
        worst = error <= worst ? worst : error.isNaN ? .infinity : error
      }
    }
    return worst
  }
}

@Suite("gemm")
struct GEMMTests {
  static let shapes = [
    (1, 1, 1), (1, 7, 33), (1, 33, 7), (1, 16, 172), (2, 5, 33), (3, 33, 172), (4, 3, 1), (7, 9, 8), (9, 17, 1030),
    (31, 17, 40), (32, 33, 513), (33, 33, 172), (34, 1, 7), (48, 700, 20), (50, 50, 1025), (98, 19, 530),
  ]

  @Test("agrees with float64", arguments: KernelSet.allCases, FloatFormat.allCases)
  func agreesWithFloat64(set: KernelSet, format: FloatFormat) throws {
    let compute = try set.compute()
    for (tokens, rows, cols) in Self.shapes {
      let product = try Product(format, tokens: tokens, rows: rows, cols: cols)

      let error = product.worstError(product.result(compute))

      #expect(error <= 1, "\(tokens) tokens, \(rows) rows, \(cols) cols")
    }
  }

  @Test("gives the same bits wherever the weights start", arguments: KernelSet.allCases, FloatFormat.allCases)
  func ignoresAlignment(set: KernelSet, format: FloatFormat) throws {
    let compute = try set.compute()
    for tokens in [1, 5, 33] {
      let aligned = try Product(format, tokens: tokens, rows: 37, cols: 420).result(compute)

      let unaligned = try Product(format, tokens: tokens, rows: 37, cols: 420, shift: 3).result(compute)

      #expect(sameBits(aligned, unaligned), "\(tokens) tokens")
    }
  }

  @Test("gives the same bits on any number of threads", arguments: KernelSet.allCases, FloatFormat.allCases)
  func ignoresThreads(set: KernelSet, format: FloatFormat) throws {
    for (tokens, rows, cols) in [(1, 531, 700), (5, 263, 300), (19, 300, 600), (49, 1100, 390), (97, 300, 520)] {
      let product = try Product(format, tokens: tokens, rows: rows, cols: cols)
      let alone = product.result(try set.compute())

      let two = product.result(try set.compute(threads: 2))
      let three = product.result(try set.compute(threads: 3))

      #expect(sameBits(alone, two) && sameBits(alone, three), "\(tokens) tokens")
    }
  }

  @Test("gives a token the same bits alone and among others", arguments: KernelSet.allCases, FloatFormat.allCases)
  func ignoresOtherTokens(set: KernelSet, format: FloatFormat) throws {
    let compute = try set.compute(threads: 2)
    for tokens in [2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33, 47, 48, 96, 97, 98, 200] {
      let product = try Product(format, tokens: tokens, rows: 103, cols: tokens % 2 == 0 ? 333 : 1041)

      let together = product.result(compute)

      #expect(sameBits(together, (0..<tokens).flatMap { product.result(compute, only: $0) }), "\(tokens) tokens")
    }
  }

  @Test("gives several products of one x the bits of each alone", arguments: KernelSet.allCases, FloatFormat.allCases)
  func multipliesTogether(set: KernelSet, format: FloatFormat) throws {
    for tokens in [1, 5, 31, 47] {
      let product = try Product(format, tokens: tokens, rows: 200, cols: 700)
      let whole = product.result(try set.compute())
      for parts in [[200], [1, 199], [50, 7, 143]] {
        #expect(sameBits(product.result(try set.compute(), parts: parts), whole), "\(tokens) tokens, \(parts)")
        #expect(
          sameBits(product.result(try set.compute(threads: 3), parts: parts), whole), "\(tokens) tokens, \(parts)")
      }
    }
  }

  @Test("writes nothing between the rows of a wider matrix", arguments: KernelSet.allCases, [1, 6, 49])
  func leavesGapsUntouched(set: KernelSet, tokens: Int) throws {
    let compute = try set.compute(threads: 2)
    let product = try Product(.bfloat16, tokens: tokens, rows: 50, cols: 64)
    let dense = product.result(compute)

    let wide = product.result(compute, stride: 61)

    #expect(sameBits(dense, (0..<tokens).flatMap { wide[$0 * 61..<$0 * 61 + 50] }))
    let gaps = (0..<tokens).flatMap { wide[$0 * 61 + 50..<($0 + 1) * 61] }
    #expect(gaps.allSatisfy { $0.bitPattern == untouched.bitPattern })
  }

  @Test("passes on infinities and NaN", arguments: KernelSet.allCases, [1, 5, 49])
  func passesOnSpecialValues(set: KernelSet, tokens: Int) throws {
    let compute = try set.compute()
    var y = [Float](repeating: 0, count: 2 * tokens)
    let x = [Float](repeating: 1, count: 9 * tokens)
    let w = try StoredNumbers([1, 2, .infinity, 3, 4, 5, 6, 7, 8] + [1, 2, 3, 4, 5, 6, 7, 8, .nan], as: .float16)

    withUnsafePointer(to: compute) { compute in
      var scratch = [Float](repeating: 0, count: xvk_gemm_scratch(compute, Int64(tokens), 9))
      y.withUnsafeMutableBufferPointer { y in
        let weights = FloatFormat.float16.weights(w.start, rows: 2, cols: 9)
        var product = xvk_product(y: y.baseAddress, y_stride: 2, w: weights)
        xvk_gemm(compute, &product, 1, x, Int64(tokens), &scratch)
      }
    }

    #expect((0..<tokens).allSatisfy { y[2 * $0] == .infinity && y[2 * $0 + 1].isNaN })
  }
}
