// Kernels+Quantization.swift -- float matrices to blocks of int8 and int4.

import CXverseKernels

extension Kernels {
  /// Columns that `quantizeGPTQ` rounds before all columns behind them take up their errors.
  package static let gptqBlockSize = XVK_GPTQ_BLOCK

  /// Quantizes `x` to blocks of `dtype` at `destination`, which has room for
  /// `dtype.byteCount(rows: x.rows, columns: x.columns)` bytes.
  ///
  /// - Parameter importance: How much an error in each column weighs, `[x.columns]`, not negative; nil for all the same.
  /// - Returns: false when an element is NaN, infinite, or of magnitude beyond `dtype.largestQuantizable`.
  package func quantize(
    _ x: Matrix, to dtype: DType, at destination: UnsafeMutableRawPointer, importance: UnsafePointer<Float>?
  ) -> Bool {
    precondition(dtype == .int8 || dtype == .int4, "quantization to \(dtype.name)")
    return withCompute {
      xvk_quantize($0, dtype.kernelType, destination, x.data, importance, Int64(x.rows), Int64(x.columns))
    } != 0
  }

  /// The same by GPTQ: it minimizes the error of the products with the inputs that `factor` was made from.
  ///
  /// - Parameters:
  ///   - factor: `[x.columns, x.columns]`, from `factorInverse` with this order.
  ///   - room: `[x.rows, x.columns + gptqBlockSize]`.
  package func quantizeGPTQ(
    _ x: Matrix, to dtype: DType, at destination: UnsafeMutableRawPointer, factor: Matrix, order: [Int32], room: Matrix
  ) -> Bool {
    precondition(dtype == .int8 || dtype == .int4, "quantization to \(dtype.name)")
    precondition(factor.rows == x.columns && factor.columns == x.columns, "factor of a Hessian")
    precondition(order.count == DType.groupCount(columns: x.columns), "order of \(order.count) groups")
    precondition(room.rows >= x.rows && room.columns == x.columns + Self.gptqBlockSize, "room for GPTQ")
    return withCompute {
      xvk_gptq(
        $0, dtype.kernelType, destination, x.data, factor.data, order, room.data, Int64(x.rows), Int64(x.columns))
    } != 0
  }

  /// Adds `xᵀ x` to the upper triangle of `hessian [x.columns, x.columns]`.
  package func addGram(of x: Matrix, to hessian: Matrix) {
    precondition(hessian.rows == x.columns && hessian.columns == x.columns, "Hessian of \(x.columns) columns")
    withCompute { xvk_gram($0, hessian.data, x.data, Int64(x.rows), Int64(x.columns)) }
  }

  /// Replaces the upper triangle of `hessian` by that of U, `Uᵀ U` the inverse of `hessian + damping * I`.
  ///
  /// - Parameter order: Group i of U's rows and columns is this group of `hessian`'s; all groups, a shorter one last.
  /// - Returns: false when that is not positive definite; `hessian` is then as it was.
  package func factorInverse(of hessian: Matrix, work: Matrix, order: [Int32], damping: Float) -> Bool {
    precondition(work.rows == hessian.rows && work.columns == hessian.columns, "work memory of a factorization")
    precondition(order.count == DType.groupCount(columns: hessian.rows), "order of \(order.count) groups")
    return xvk_factor_inverse(hessian.data, work.data, order, Int64(hessian.rows), damping) != 0
  }
}
