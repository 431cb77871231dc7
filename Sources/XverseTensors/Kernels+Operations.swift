// Kernels+Operations.swift -- the only Swift that calls the C kernels: shapes are checked here, once, against the
// model's own sizes, so a failed precondition is a fault of this library and never of its input.

import CXverseKernels
import XverseCore

/// Most multiply-adds between two looks at a cancel flag: about 64 tokens in one layer of a 7B model.
private let multiplyAddsBetweenChecks = 1 << 33

extension Kernels {
  /// `y = x Wᵀ`: `x [tokens, W.columns]`, columns `column ..< column + W.rows` of `y [tokens, ...]`.
  ///
  /// - Parameters:
  ///   - scratch: `productScratch(tokens: x.rows, columns: x.columns)` floats for tiles of widened weights.
  ///   - cancellation: Looked at before each part of the product; what it throws leaves `y` undefined.
  package func multiply(
    into y: Matrix, column: Int = 0, _ x: Matrix, _ weights: WeightMatrix, scratch: UnsafeMutablePointer<Float>,
    cancellation: Cancellation?
  ) throws(XverseError) {
    precondition(x.columns == weights.columns && x.rows == y.rows, "product of [\(x.rows), \(x.columns)]")
    precondition(column >= 0 && column + weights.rows <= y.columns, "columns of the product")
    // The cuts follow from the shapes alone: any number of threads gives the same bits.
    let tile = XVK_GEMM_TILE
    let rowsPerPart = max(1, multiplyAddsBetweenChecks / max(1, x.rows * x.columns * tile)) * tile
    var row = 0
    while row < weights.rows {
      try cancellation?.check()
      let end = min(weights.rows, row + rowsPerPart)
      let part = weights.rows(row..<end)
      let gemm =
        switch part.dtype {
        case .float32: xvk_gemm_f32_f32
        case .float16: xvk_gemm_f32_f16
        case .bfloat16: xvk_gemm_f32_bf16
        }
      withCompute {
        gemm(
          $0, y.data + column + row, Int64(y.columns), x.data, part.data, Int64(x.rows), Int64(part.rows),
          Int64(part.columns), scratch)
      }
      row = end
    }
  }

  /// Floats of scratch that a product of `tokens` rows with `columns` columns needs.
  package func productScratch(tokens: Int, columns: Int) -> Int {
    withCompute { xvk_gemm_scratch($0, Int64(tokens), Int64(columns)) }
  }

  /// `y[t] = W[ids[t]]` as f32; every id has been checked against `weights.rows`.
  package func rows(into y: Matrix, of weights: WeightMatrix, ids: UnsafeBufferPointer<Int32>) {
    precondition(ids.count == y.rows && y.columns == weights.columns, "rows of a matrix")
    let rows =
      switch weights.dtype {
      case .float32: xvk_rows_f32_f32
      case .float16: xvk_rows_f32_f16
      case .bfloat16: xvk_rows_f32_bf16
      }
    withCompute { rows($0, y.data, weights.data, ids.baseAddress, Int64(y.rows), Int64(y.columns)) }
  }

  /// The elements of a vector (a matrix of one row) as f32.
  package func widen(_ weights: WeightMatrix, into y: UnsafeMutablePointer<Float>) {
    var first: Int32 = 0
    precondition(weights.rows == 1, "widening of \(weights.rows) rows")
    withUnsafePointer(to: &first) {
      rows(
        into: Matrix(data: y, rows: 1, columns: weights.columns), of: weights,
        ids: UnsafeBufferPointer(start: $0, count: 1))
    }
  }

  /// RMSNorm of every row; `y` may be `x`. `weight [x.columns]`.
  package func rmsNorm(into y: Matrix, _ x: Matrix, weight: UnsafePointer<Float>, epsilon: Float) {
    precondition(x.rows == y.rows && x.columns == y.columns, "shapes of rmsnorm")
    withCompute { xvk_rmsnorm_f32($0, y.data, x.data, weight, Int64(x.rows), Int64(x.columns), epsilon) }
  }

  /// Rotates `x [tokens, heads * headSize]` by the angles of `cosines`, `sines`, both `[tokens, headSize / 2]`.
  package func rotate(_ x: Matrix, cosines: Matrix, sines: Matrix) {
    let headSize = cosines.columns * 2
    precondition(x.rows == cosines.rows && x.columns % headSize == 0, "shapes of rope")
    withCompute {
      xvk_rope_f32($0, x.data, cosines.data, sines.data, Int64(x.rows), Int64(x.columns / headSize), Int64(headSize))
    }
  }

  /// `y = silu(gate) * up` with `gateUp [tokens, 2 * y.columns]`, gate first.
  package func swiGLU(into y: Matrix, _ gateUp: Matrix) {
    precondition(gateUp.rows == y.rows && gateUp.columns == 2 * y.columns, "shapes of swiglu")
    withCompute { xvk_swiglu_f32($0, y.data, gateUp.data, Int64(y.rows), Int64(y.columns)) }
  }

  /// `x += y`.
  package func add(_ y: Matrix, to x: Matrix) {
    precondition(x.rows == y.rows && x.columns == y.columns, "shapes of a sum")
    withCompute { xvk_add_f32($0, x.data, y.data, Int64(x.rows * x.columns)) }
  }

  /// `ln(sum of exp(x))`, accumulated in double.
  package func logSumExp(_ x: UnsafeBufferPointer<Float>) -> Double {
    withCompute { xvk_logsumexp_f32($0, x.baseAddress, Int64(x.count)) }
  }

  func withCompute<Result>(_ body: (UnsafePointer<xvk_compute>) -> Result) -> Result {
    withUnsafePointer(to: compute, body)
  }
}
