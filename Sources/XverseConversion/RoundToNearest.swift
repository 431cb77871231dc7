// RoundToNearest.swift -- each weight to the nearest number of its group's grid, the grid chosen to make the error small.
// Needs no data: what is known of a matrix's input is the weight of the norm before it.

import XverseCore
import XverseModels
import XverseTensors

/// Quantizes the matrices of a float model one after the other.
///
/// Memory: the result, and a few MB of widened weights at a time.
package final class RoundToNearest {
  private let scheme: QuantizationScheme
  private let context: ComputeContext
  private let arena: ScratchArena
  /// Of what has been quantized so far.
  private(set) var memory: [WeightStorage] = []
  private var done = 0
  private var total = 0

  /// Floats that are widened at a time: few enough to stay in a cache of a few MB.
  private static let chunkSize = 1 << 20

  package init(_ scheme: QuantizationScheme, _ context: ComputeContext) {
    self.scheme = scheme
    self.context = context
    arena = ScratchArena(allocator: context.allocator)
  }

  /// The model in int8 or int4; `model` stays as it is.
  ///
  /// - Throws: `corrupt` for a weight that is NaN, infinite or beyond `DType.largestQuantizable`; `unsupported` for a model
  ///   that is quantized already; `outOfMemory`; what the context's progress throws.
  package func quantize(_ model: XverseModel) throws(XverseError) -> XverseModel {
    total = model.weightBytes
    let quantized = try model.replacingLinears(memory: { memory }) { (linear) throws(XverseError) in
      try quantize(linear, of: model)
    }
    try context.progress(total, total)
    return quantized
  }

  /// One matrix of `model`, in `memory`.
  func quantize(_ linear: Linear, of model: XverseModel) throws(XverseError) -> WeightMatrix {
    try Self.requireFloats(linear)
    arena.reset()
    let weights = linear.weights
    let dtype = scheme.dtype(for: linear.key)
    let storage = try WeightStorage(
      byteCount: dtype.byteCount(rows: weights.rows, columns: weights.columns), allocator: context.allocator)
    memory.append(storage)
    let importance = try model.norm(before: linear.key).map { (norm) throws(XverseError) in
      try squares(of: norm.weight, count: weights.columns)
    }
    let rowsPerChunk = max(1, Self.chunkSize / weights.columns / dtype.rowsPerPanel) * dtype.rowsPerPanel
    let widened = try arena.matrix(rows: min(rowsPerChunk, weights.rows), columns: weights.columns)
    for row in stride(from: 0, to: weights.rows, by: rowsPerChunk) {
      try context.progress(done, total)
      let chunk = weights.rows(row..<min(row + rowsPerChunk, weights.rows))
      let place = storage.start + dtype.byteCount(rows: row, columns: weights.columns)
      let isQuantizable = try context.compute { () throws(XverseError) in
        let floats = widened.rows(0..<chunk.rows)
        context.kernels.widen(chunk, into: floats)
        return context.kernels.quantize(floats, to: dtype, at: place, importance: importance)
      }
      guard isQuantizable else { throw Self.notQuantizable(linear, row..<row + chunk.rows, to: dtype) }
      done += chunk.byteCount
    }
    model.discardPages(of: weights)
    return WeightMatrix(data: storage.start, dtype: dtype, rows: weights.rows, columns: weights.columns)
  }

  /// The mean squares of the outputs of a norm, up to a factor: before it multiplies with its weights, their mean is 1.
  private func squares(of weight: UnsafePointer<Float>, count: Int) throws(XverseError) -> UnsafePointer<Float> {
    let squares = try arena.floats(count)
    for index in 0..<count { squares[index] = weight[index] * weight[index] }
    return UnsafePointer(squares)
  }

  static func requireFloats(_ linear: Linear) throws(XverseError) {
    let dtype = linear.weights.dtype
    guard !dtype.isQuantized else {
      throw .unsupported(
        "tensor '\(linear.key.name(in: .safetensors))' is \(dtype.name) already, expected \(DType.floatNames) to quantize"
      )
    }
  }

  static func notQuantizable(_ linear: Linear, _ rows: Range<Int>, to dtype: DType) -> XverseError {
    .corrupt(
      "tensor '\(linear.key.name(in: .safetensors))' has a value in rows \(rows.lowerBound) to \(rows.upperBound - 1) "
        + "that is not finite or beyond \(dtype.largestQuantizable), which cannot be quantized to \(dtype.name)")
  }
}
