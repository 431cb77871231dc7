// WeightViewTests.swift -- a range of columns of a matrix is a matrix: no kernel may tell it from a copy.

import CXverseKernels
import TestSupport
import Testing

/// A matrix [rows, cols], and slices of its columns as views and as copies.
private final class Sliced {
  static let (rows, cols) = (37, 172)
  let whole: xvk_weights
  /// Where the columns of the matrix stand: `size` bytes for `width` columns.
  private let (size, width): (Int, Int)
  private let memory: AnyObject

  init(_ format: FloatFormat) throws {
    let numbers = try StoredNumbers(random: Self.rows * Self.cols, as: format, shift: 1, seed: 2)
    whole = format.weights(numbers.start, rows: Self.rows, cols: Self.cols)
    (size, width, memory) = (format.size, 1, numbers)
  }

  init(_ format: BlockFormat) throws {
    let weights = try QuantizedWeights(
      bellShaped(Self.rows * Self.cols, seed: 2), as: format, rows: Self.rows, cols: Self.cols, shift: 1,
      by: KernelSet.reference.compute())
    whole = weights.view
    (size, width, memory) = (format.blockSize, XVK_GROUP, weights)
  }

  /// Slices with the first and the last column, of one column, and of a part of a group in the end.
  var slices: [Range<Int>] {
    width == 1 ? [0..<70, 5..<172, 33..<34, 171..<172, 8..<136] : [0..<70, 32..<172, 64..<65, 160..<172, 32..<128]
  }

  func view(_ columns: Range<Int>) -> xvk_weights {
    var view = whole
    view.data += columns.lowerBound / width * size
    view.cols = Int64(columns.count)
    return view
  }

  /// Calls `body` with a copy at which the slice's rows, or panels, follow each other and nothing else.
  func withCopy<Result>(of columns: Range<Int>, _ body: (xvk_weights) throws -> Result) throws -> Result {
    var copy = view(columns)
    let bytes = (columns.count + width - 1) / width * size
    let count = width == 1 ? Self.rows : (Self.rows + XVK_PANEL - 1) / XVK_PANEL
    let memory = try GuardedMemory(byteCount: count * bytes)
    for index in 0..<count {
      (memory.start + index * bytes).copyMemory(from: copy.data + index * Int(copy.stride), byteCount: bytes)
    }
    copy.data = UnsafeRawPointer(memory.start)
    copy.stride = Int64(bytes)
    return try withExtendedLifetime(memory) { try body(copy) }
  }
}

private func product(_ compute: xvk_compute, _ x: [Float], _ w: xvk_weights, tokens: Int) -> [Float] {
  var y = [Float](repeating: untouched, count: tokens * Int(w.rows))
  withUnsafePointer(to: compute) { compute in
    var scratch = [Float](repeating: .nan, count: xvk_gemm_scratch(compute, Int64(tokens), w.cols))
    y.withUnsafeMutableBufferPointer { y in
      var product = xvk_product(y: y.baseAddress, y_stride: w.rows, w: w)
      xvk_gemm(compute, &product, 1, x, Int64(tokens), &scratch)
    }
  }
  return y
}

private func rows(_ compute: xvk_compute, _ w: xvk_weights, _ ids: [Int32]?, tokens: Int) -> [Float] {
  var (y, w) = ([Float](repeating: untouched, count: tokens * Int(w.cols)), w)
  withUnsafePointer(to: compute) { xvk_rows($0, &y, &w, ids, Int64(tokens)) }
  return y
}

@Suite("views of columns")
struct WeightViewTests {
  @Test("of floats are as good as copies", arguments: KernelSet.allCases, FloatFormat.allCases)
  func viewFloats(set: KernelSet, format: FloatFormat) throws {
    try expectViews(of: Sliced(format), equalCopiesBy: set)
  }

  @Test("of quantized weights are as good as copies", arguments: KernelSet.allCases, BlockFormat.allCases)
  func viewBlocks(set: KernelSet, format: BlockFormat) throws {
    try expectViews(of: Sliced(format), equalCopiesBy: set)
  }

  private func expectViews(of matrix: Sliced, equalCopiesBy set: KernelSet) throws {
    let compute = try set.compute(threads: 2)
    let ids: [Int32] = [36, 0, 17, 17, 15]
    for columns in matrix.slices {
      let view = matrix.view(columns)
      try matrix.withCopy(of: columns) { copy in
        // All regimes: one token, some, and so many that codes are unpacked or floats packed.
        for tokens in [1, 3, 5, 20, 49] {
          let x = bellShaped(tokens * columns.count, seed: 3)
          let expected = product(compute, x, copy, tokens: tokens)
          #expect(sameBits(product(compute, x, view, tokens: tokens), expected), "\(columns), \(tokens) tokens")
        }
        #expect(
          sameBits(rows(compute, view, ids, tokens: 5), rows(compute, copy, ids, tokens: 5)), "rows of \(columns)")
        #expect(
          sameBits(rows(compute, view, nil, tokens: 37), rows(compute, copy, nil, tokens: 37)), "all of \(columns)")
      }
    }
  }

  // What the views are compared with would hide an error that copies share.
  @Test("are the columns of the matrix", arguments: KernelSet.allCases)
  func areColumns(set: KernelSet) throws {
    let compute = try set.compute()
    let matrices = try FloatFormat.allCases.map { try Sliced($0) } + BlockFormat.allCases.map { try Sliced($0) }
    for matrix in matrices {
      let all = rows(compute, matrix.whole, nil, tokens: 37)
      for columns in matrix.slices {
        let expected = (0..<37).flatMap { all[$0 * 172 + columns.lowerBound..<$0 * 172 + columns.upperBound] }
        #expect(sameBits(rows(compute, matrix.view(columns), nil, tokens: 37), expected), "\(columns)")
      }
    }
  }
}
