// GPTQKernelTests.swift -- GPTQ: sums of products of inputs, the factor of their inverse, and what they are for.

import CXverseKernels
import Glibc
import TestSupport
import Testing

/// Inputs [tokens, cols] of which many go together: mixtures of a few sources, and some noise.
private func correlatedInputs(tokens: Int, cols: Int, seed: UInt64) -> [Float] {
  let sources = 12
  let mixture = bellShaped(cols * sources, seed: seed)
  let signals = bellShaped(tokens * sources, seed: seed + 1)
  let noise = bellShaped(tokens * cols, seed: seed + 2)
  return (0..<tokens * cols).map { index in
    let (token, col) = (index / cols, index % cols)
    return (0..<sources).reduce(0.3 * noise[index]) {
      $0 + mixture[col * sources + $1] * signals[token * sources + $1]
    }
  }
}

/// h [cols, cols] + x^T x by the driver.
private func gram(_ h: [Float], _ x: [Float], cols: Int, _ compute: xvk_compute) -> [Float] {
  var h = h
  withUnsafePointer(to: compute) { xvk_gram($0, &h, x, Int64(x.count / cols), Int64(cols)) }
  return h
}

/// The groups of so many columns as they stand.
private func asTheyStand(_ cols: Int) -> [Int32] { (0..<Int32((cols + XVK_GROUP - 1) / XVK_GROUP)).map { $0 } }

/// The columns in the order that an order of groups says.
private func columns(_ order: [Int32], of cols: Int) -> [Int] {
  order.flatMap { Int($0) * XVK_GROUP..<min((Int($0) + 1) * XVK_GROUP, cols) }
}

/// Whether the driver makes a factor of h [n, n], in its place.
private func factorInverse(_ h: inout [Float], n: Int, order: [Int32]? = nil, damping: Float) -> Bool {
  var work = [Float](repeating: .nan, count: n * n)
  return xvk_factor_inverse(&h, &work, order ?? asTheyStand(n), Int64(n), damping) != 0
}

@Suite("gram")
struct GramTests {
  @Test("adds x^T x to the upper triangle", arguments: KernelSet.allCases)
  func agreesWithFloat64(set: KernelSet) throws {
    for (tokens, cols) in [(1, 1), (3, 7), (40, 33), (5, 300)] {
      let x = bellShaped(tokens * cols, seed: 1)
      let before = bellShaped(cols * cols, seed: 2)

      let h = gram(before, x, cols: cols, try set.compute(threads: 2))

      for row in 0..<cols {
        for col in row..<cols {
          let terms = (0..<tokens).map { Double(x[$0 * cols + row]) * Double(x[$0 * cols + col]) }
          let exact = Double(before[row * cols + col]) + terms.reduce(0, +)
          let magnitude = Double(abs(before[row * cols + col])) + terms.reduce(0) { $0 + abs($1) }
          // One product and at most `tokens` additions, each off by half an ulp of a partial sum.
          let tolerance = Double(tokens + 2) * halfULP * magnitude
          #expect(abs(Double(h[row * cols + col]) - exact) <= tolerance, "\(tokens) tokens, \(row), \(col)")
        }
      }
    }
  }

  @Test("gives the same bits on any number of threads")
  func ignoresThreads() throws {
    let x = bellShaped(20 * 600, seed: 3)
    let zeros = [Float](repeating: 0, count: 600 * 600)
    let alone = gram(zeros, x, cols: 600, try KernelSet.reference.compute())
    for threads in [2, 3] as [Int32] {
      let h = gram(zeros, x, cols: 600, try KernelSet.reference.compute(threads: threads))
      let isSame = (0..<600).allSatisfy { sameBits(h[$0 * 601..<($0 + 1) * 600], alone[$0 * 601..<($0 + 1) * 600]) }
      #expect(isSame, "\(threads) threads")
    }
  }
}

@Suite("factor_inverse")
struct FactorInverseTests {
  /// A symmetric matrix whose eigenvalues lie in 0.5 ... 1.5 (Gershgorin).
  private func wellConditioned(_ n: Int) -> [Float] {
    var random = SeededRandom(seed: 4)
    var h = [Float](repeating: 0, count: n * n)
    for row in 0..<n {
      h[row * n + row] = 1
      for col in row + 1..<max(n, row + 1) {
        h[row * n + col] = random.floats(1)[0] * 0.5 / Float(n)
        h[col * n + row] = h[row * n + col]
      }
    }
    return h
  }

  /// U, upper triangular, with U^T U the inverse of h + damping * I, in float64.
  ///
  /// With J the exchange of first and last: U is J L^-1 J for the Cholesky factor L of J (h + damping * I) J.
  private func expectedFactor(_ h: [Float], n: Int, damping: Double) -> [Double] {
    func element(_ row: Int, _ col: Int) -> Double {
      let (i, j) = (n - 1 - row, n - 1 - col)
      return Double(h[min(i, j) * n + max(i, j)]) + (i == j ? damping : 0)
    }
    var l = [Double](repeating: 0, count: n * n)
    for row in 0..<n {
      for col in 0...row {
        let sum = (0..<col).reduce(element(row, col)) { $0 - l[row * n + $1] * l[col * n + $1] }
        l[row * n + col] = row == col ? sum.squareRoot() : sum / l[col * n + col]
      }
    }
    var inverse = [Double](repeating: 0, count: n * n)
    for col in 0..<n {
      for row in col..<n {
        let sum = (col..<max(row, col)).reduce(row == col ? 1 : 0) { $0 - l[row * n + $1] * inverse[$1 * n + col] }
        inverse[row * n + col] = sum / l[row * n + row]
      }
    }
    return (0..<n * n).map { inverse[(n - 1 - $0 / n) * n + (n - 1 - $0 % n)] }
  }

  @Test("agrees with float64", arguments: [1, 2, 7, 64, 150])
  func agreesWithFloat64(n: Int) {
    let original = wellConditioned(n)
    let expected = expectedFactor(original, n: n, damping: 0.1)
    var h = original

    let isFactored = factorInverse(&h, n: n, damping: 0.1)

    #expect(isFactored)
    // Two factorizations and an inversion, each off by n + 1 roundings relative to its matrix (Higham 2002, theorems
    // 10.3 and 14.1), times the condition number, at most 1.6 / 0.6 < 3; no element of U is above sqrt(1 / 0.6) < 1.3.
    let tolerance = 3 * Double(n + 1) * halfULP * 3 * 1.3
    for row in 0..<n {
      for col in row..<n {
        #expect(abs(Double(h[row * n + col]) - expected[row * n + col]) <= tolerance, "\(row), \(col)")
      }
    }
  }

  // The last group of 100 is short.
  @Test("takes groups in another order", arguments: [(96, [2, 0, 1]), (100, [1, 2, 0, 3])] as [(Int, [Int32])])
  func reorders(n: Int, order: [Int32]) throws {
    var h = wellConditioned(n)
    let columns = columns(order, of: n)
    var moved = columns.flatMap { row in columns.map { h[row * n + $0] } }

    try #require(factorInverse(&h, n: n, order: order, damping: 0.1))

    try #require(factorInverse(&moved, n: n, damping: 0.1))
    #expect((0..<n).allSatisfy { sameBits(h[$0 * (n + 1)..<($0 + 1) * n], moved[$0 * (n + 1)..<($0 + 1) * n]) })
  }

  @Test(
    "refuses what is not positive definite and leaves it as it was",
    arguments: [
      [0, 0, 0, 0], [1, 0, 0, -1], [1, 2, 2, 1], [-1, 0, 0, 1], [1, .nan, .nan, 1], [.nan, 0, 0, 1], [1, 0, 0, .nan],
      [.infinity, 0, 0, 1], [1, 0, 0, .infinity], [1, .infinity, .infinity, 1],
    ] as [[Float]])
  func refusesIndefinite(matrix: [Float]) {
    var h = matrix

    let isFactored = factorInverse(&h, n: 2, damping: 0)

    #expect(!isFactored)
    #expect(sameBits(h, matrix))
  }

  @Test("damping makes a singular matrix positive definite")
  func damps() {
    var h: [Float] = [1, 1, 1, 1]

    let isFactored = factorInverse(&h, n: 2, damping: 0.5)

    #expect(isFactored)
  }
}

/// Weights, inputs, and their quantization by GPTQ.
private struct GPTQFixture {
  static let tokens = 256
  let rows: Int
  let cols: Int
  let weights: [Float]
  let inputs: [Float]
  let factor: [Float]

  init(rows: Int, cols: Int) throws {
    (self.rows, self.cols) = (rows, cols)
    weights = bellShaped(rows * cols, seed: 5)
    inputs = correlatedInputs(tokens: Self.tokens, cols: cols, seed: 6)
    var h = gram([Float](repeating: 0, count: cols * cols), inputs, cols: cols, try KernelSet.reference.compute())
    let trace = (0..<cols).reduce(0) { $0 + h[$1 * cols + $1] }
    try #require(factorInverse(&h, n: cols, damping: 0.01 * trace / Float(cols)))
    factor = h
  }

  func quantized(
    _ format: BlockFormat, by set: KernelSet = .reference, threads: Int32 = 1, factor: [Float]? = nil,
    order: [Int32]? = nil, weights: [Float]? = nil
  ) throws -> QuantizedWeights {
    let compute = try set.compute(threads: threads)
    let x = weights ?? self.weights
    var room = [Float](repeating: .nan, count: rows * (cols + XVK_GPTQ_BLOCK))
    return try QuantizedWeights(format, rows: rows, cols: cols) { place in
      withUnsafePointer(to: compute) {
        xvk_gptq(
          $0, format.dtype, place, x, factor ?? self.factor, order ?? asTheyStand(cols), &room, Int64(rows), Int64(cols)
        )
      }
    }
  }

  func plain(_ format: BlockFormat) throws -> QuantizedWeights {
    try QuantizedWeights(weights, as: format, rows: rows, cols: cols, by: KernelSet.reference.compute())
  }

  /// The sum of squares of what the products with the inputs are off.
  func productError(of w: QuantizedWeights) -> Double {
    let off = zip(w.weights, weights).map { $0 - Double($1) }
    var error = 0.0
    for token in 0..<Self.tokens {
      for row in 0..<rows {
        let difference = (0..<cols).reduce(0) { $0 + off[row * cols + $1] * Double(inputs[token * cols + $1]) }
        error += difference * difference
      }
    }
    return error
  }
}

@Suite("gptq")
struct GPTQKernelTests {
  // One block of XVK_GPTQ_BLOCK columns, and two of which the second is ragged.
  @Test("makes the products with correlated inputs better", arguments: BlockFormat.chosen, [64, 172])
  func lowersProductError(format: BlockFormat, cols: Int) throws {
    let fixture = try GPTQFixture(rows: 19, cols: cols)

    let w = try fixture.quantized(format)

    #expect(w.isQuantizable)
    #expect(fixture.productError(of: w) < fixture.productError(of: try fixture.plain(format)))
  }

  @Test("is plain rounding for inputs that do not correlate", arguments: BlockFormat.chosen)
  func isPlainWithoutCorrelation(format: BlockFormat) throws {
    let fixture = try GPTQFixture(rows: 19, cols: 172)
    let identity = (0..<172 * 172).map { $0 % 173 == 0 ? Float(1) : 0 }

    #expect(try fixture.quantized(format, factor: identity).weights == fixture.plain(format).weights)
  }

  // 19 rows are two panels; 172 columns five groups and a short one, in two GPTQ blocks.
  @Test("rounds the groups in the order of the factor", arguments: BlockFormat.chosen)
  func takesOrder(format: BlockFormat) throws {
    let fixture = try GPTQFixture(rows: 19, cols: 172)
    let order: [Int32] = [3, 0, 4, 2, 1, 5]
    let columns = columns(order, of: 172)
    let moved = try fixture.quantized(
      format, weights: (0..<19).flatMap { row in columns.map { fixture.weights[row * 172 + $0] } })

    let found = try fixture.quantized(format, order: order)

    let size = format.blockSize
    for panel in 0..<2 {
      for (group, place) in order.enumerated() {
        let expected = moved.bytes[(panel * 6 + group) * size..<(panel * 6 + group + 1) * size]
        let start = (panel * 6 + Int(place)) * size
        #expect(found.bytes[start..<start + size] == expected, "panel \(panel), group \(group)")
      }
    }
  }

  @Test("gives the reference's blocks", arguments: KernelSet.optimized, BlockFormat.chosen)
  func agreesWithReference(set: KernelSet, format: BlockFormat) throws {
    let fixture = try GPTQFixture(rows: 19, cols: 172)

    #expect(try fixture.quantized(format, by: set).bytes == fixture.quantized(format).bytes)
  }

  @Test("gives the same blocks on any number of threads", arguments: KernelSet.allCases, BlockFormat.chosen)
  func ignoresThreads(set: KernelSet, format: BlockFormat) throws {
    let fixture = try GPTQFixture(rows: 150, cols: 172)
    let alone = try fixture.quantized(format, by: set).bytes

    #expect(try fixture.quantized(format, by: set, threads: 2).bytes == alone)
    #expect(try fixture.quantized(format, by: set, threads: 3).bytes == alone)
  }

  @Test("refuses what is not finite or too large", arguments: KernelSet.allCases, BlockFormat.chosen)
  func refusesOutliers(set: KernelSet, format: BlockFormat) throws {
    let fixture = try GPTQFixture(rows: 3, cols: 40)
    for value in [.nan, .infinity, -.infinity, 5000, 1e30] as [Float] {
      for place in [0, 119] {
        var weights = fixture.weights
        weights[place] = value
        #expect(try !fixture.quantized(format, by: set, weights: weights).isQuantizable, "\(value) at \(place)")
      }
    }
  }
}
