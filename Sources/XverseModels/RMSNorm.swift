// RMSNorm.swift -- root-mean-square normalization (Zhang & Sennrich 2019), in float32 throughout.

import XverseTensors

/// `y = weight * (x * rsqrt(mean(x²) + epsilon))` over the last dimension.
package struct RMSNorm: @unchecked Sendable {
  package let key: WeightKey
  /// `[hiddenSize]`, widened to f32 when the model was loaded; owned by the model's `NormWeights`.
  package let weight: UnsafePointer<Float>
  let epsilon: Float

  /// Normalizes every row of `x` into `y`, which may be `x`.
  func forward(into y: Matrix, _ x: Matrix, _ kernels: Kernels) {
    kernels.rmsNorm(into: y, x, weight: weight, epsilon: epsilon)
  }
}
