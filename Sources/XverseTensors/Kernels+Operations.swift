// Kernels+Operations.swift -- the only Swift that calls the C kernels: shapes are checked here, once, against the
// model's own sizes, so a failed precondition is a fault of this library and never of its input.

import CXverseKernels
import XverseCore

/// Most multiply-adds between two looks at a cancel flag: about 64 tokens in one layer of a 7B model.
private let multiplyAddsBetweenChecks = 1 << 33

/// A long product is cut at multiples of so many rows, which leaves each thread whole panels.
private let rowsOfPart = 512

extension Kernels {
  /// Where a product goes: columns `column ..< column + weights.rows` of `y`.
  package struct Product {
    package let weights: WeightMatrix
    package let y: Matrix
    package let column: Int

    package init(_ weights: WeightMatrix, into y: Matrix, column: Int = 0) {
      self.weights = weights
      self.y = y
      self.column = column
    }
  }

  /// `y = x Wᵀ` for up to three W: `x [tokens, W.columns]`.
  ///
  /// - Parameters:
  ///   - scratch: `productScratch(tokens: x.rows, columns: x.columns)` floats.
  ///   - cancellation: Looked at before each part of the products; what it throws leaves every `y` undefined.
  package func multiply(
    _ x: Matrix, _ first: Product, _ second: Product? = nil, _ third: Product? = nil,
    scratch: UnsafeMutablePointer<Float>, cancellation: Cancellation?
  ) throws(XverseError) {
    let rows = first.weights.rows + (second?.weights.rows ?? 0) + (third?.weights.rows ?? 0)
    let dtype = first.weights.dtype
    let isSmall = x.rows * x.columns * rows <= multiplyAddsBetweenChecks
    guard isSmall, dtype == (second ?? first).weights.dtype, dtype == (third ?? first).weights.dtype else {
      try multiply(x, alone: first, scratch: scratch, cancellation: cancellation)
      if let second { try multiply(x, alone: second, scratch: scratch, cancellation: cancellation) }
      if let third { try multiply(x, alone: third, scratch: scratch, cancellation: cancellation) }
      return
    }
    try cancellation.check()
    // On the stack: decoding a token allocates nothing.
    let none = xvk_product()
    var products = (
      part(first, of: x, 0..<first.weights.rows), second.map { part($0, of: x, 0..<$0.weights.rows) } ?? none,
      third.map { part($0, of: x, 0..<$0.weights.rows) } ?? none
    )
    let count = 1 + (second == nil ? 0 : 1) + (third == nil ? 0 : 1)
    withUnsafeBytes(of: &products) {
      run($0.assumingMemoryBound(to: xvk_product.self).baseAddress.unsafelyUnwrapped, count, x, scratch)
    }
  }

  private func multiply(
    _ x: Matrix, alone product: Product, scratch: UnsafeMutablePointer<Float>, cancellation: Cancellation?
  ) throws(XverseError) {
    let tile = rowsOfPart
    let rowsPerPart = max(1, multiplyAddsBetweenChecks / max(1, x.rows * x.columns * tile)) * tile
    var row = 0
    while row < product.weights.rows {
      try cancellation.check()
      let end = min(product.weights.rows, row + rowsPerPart)
      var part = part(product, of: x, row..<end)
      run(&part, 1, x, scratch)
      row = end
    }
  }

  private func part(_ product: Product, of x: Matrix, _ rows: Range<Int>) -> xvk_product {
    let weights = product.weights
    precondition(x.columns == weights.columns && x.rows == product.y.rows, "product of [\(x.rows), \(x.columns)]")
    precondition(product.column >= 0 && product.column + weights.rows <= product.y.columns, "columns of the product")
    return xvk_product(
      y: product.y.data + product.column + rows.lowerBound, y_stride: Int64(product.y.columns),
      w: weights.rows(rows).kernelWeights)
  }

  private func run(
    _ products: UnsafePointer<xvk_product>, _ count: Int, _ x: Matrix, _ scratch: UnsafeMutablePointer<Float>
  ) {
    withCompute { xvk_gemm($0, products, Int64(count), x.data, Int64(x.rows), scratch) }
  }

  /// Floats of scratch that a product of `tokens` rows with `columns` columns needs.
  package func productScratch(tokens: Int, columns: Int) -> Int {
    withCompute { xvk_gemm_scratch($0, Int64(tokens), Int64(columns)) }
  }

  /// `y[t] = W[ids[t]]` as f32; every id has been checked against `weights.rows`.
  package func rows(into y: Matrix, of weights: WeightMatrix, ids: UnsafeBufferPointer<Int32>) {
    precondition(ids.count == y.rows, "rows of a matrix")
    rows(into: y, of: weights, ids: ids.baseAddress)
  }

  /// The same; nil for the first rows in their order.
  private func rows(into y: Matrix, of weights: WeightMatrix, ids: UnsafePointer<Int32>?) {
    precondition(y.columns == weights.columns, "rows of a matrix")
    var weights = weights.kernelWeights
    withCompute { xvk_rows($0, y.data, &weights, ids, Int64(y.rows)) }
  }

  /// The index of the first of `count` elements, or blocks, that is NaN or infinite, or has such a scale; nil when all
  /// are finite.
  package func firstNonFinite(of elements: UnsafeRawPointer, dtype: DType, count: Int) -> Int? {
    let first = withCompute { xvk_first_nonfinite($0, dtype.kernelType, elements, Int64(count)) }
    return first < count ? Int(first) : nil
  }

  /// All elements of a matrix as f32.
  package func widen(_ weights: WeightMatrix, into y: Matrix) {
    precondition(weights.rows == y.rows && weights.columns == y.columns, "widening of \(weights.rows) rows")
    rows(into: y, of: weights, ids: nil)
  }

  /// The elements of a vector (a matrix of one row) as f32.
  package func widen(_ weights: WeightMatrix, into y: UnsafeMutablePointer<Float>) {
    widen(weights, into: Matrix(data: y, rows: 1, columns: weights.columns))
  }

  /// RMSNorm of every row; `y` may be `x`. `weight [x.columns]`.
  package func rmsNorm(into y: Matrix, _ x: Matrix, weight: UnsafePointer<Float>, epsilon: Float) {
    precondition(x.rows == y.rows && x.columns == y.columns, "shapes of rmsnorm")
    withCompute { xvk_rmsnorm($0, y.data, x.data, weight, Int64(x.rows), Int64(x.columns), epsilon) }
  }

  /// Rotates `x [tokens, heads * headSize]` by the angles of `cosines`, `sines`, both `[tokens, headSize / 2]`.
  package func rotate(_ x: Matrix, cosines: Matrix, sines: Matrix) {
    let headSize = cosines.columns * 2
    precondition(x.rows == cosines.rows && x.columns % headSize == 0, "shapes of rope")
    withCompute {
      xvk_rope($0, x.data, cosines.data, sines.data, Int64(x.rows), Int64(x.columns / headSize), Int64(headSize))
    }
  }

  /// `y = silu(gate) * up` with `gateUp [tokens, 2 * y.columns]`, gate first.
  package func swiGLU(into y: Matrix, _ gateUp: Matrix) {
    precondition(gateUp.rows == y.rows && gateUp.columns == 2 * y.columns, "shapes of swiglu")
    withCompute { xvk_swiglu($0, y.data, gateUp.data, Int64(y.rows), Int64(y.columns)) }
  }

  /// `x += y`.
  package func add(_ y: Matrix, to x: Matrix) {
    precondition(x.rows == y.rows && x.columns == y.columns, "shapes of a sum")
    withCompute { xvk_add($0, x.data, y.data, Int64(x.rows * x.columns)) }
  }

  /// `ln(sum of exp(x))`, accumulated in double.
  package func logSumExp(_ x: UnsafeBufferPointer<Float>) -> Double {
    withCompute { xvk_logsumexp($0, x.baseAddress, Int64(x.count)) }
  }

  func withCompute<Result>(_ body: (UnsafePointer<xvk_compute>) -> Result) -> Result {
    withUnsafePointer(to: compute, body)
  }
}
