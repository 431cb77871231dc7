// ForwardPass.swift -- what the layers share while they evaluate some tokens: kernels, work memory, position, the flag
// that can end it.

import XverseCore
import XverseTensors

/// One evaluation of consecutive tokens. Valid until its arena is reset.
struct ForwardPass {
  let kernels: Kernels
  let workspace: Workspace
  /// Absolute position of the first token, counted from 0.
  let position: Int
  let cancellation: Cancellation?

  /// `y = x Wᵀ` into columns `column ...` of `y`.
  func multiply(
    into y: Matrix, column: Int = 0, _ x: Matrix, _ weights: WeightMatrix
  ) throws(XverseError) {
    try kernels.multiply(
      into: y, column: column, x, weights, scratch: workspace.productScratch, cancellation: cancellation)
  }
}

/// The intermediate results of one layer, reused by the next; `[tokens, ...]` each.
struct Workspace {
  let residual: Matrix  // [tokens, hiddenSize]: the residual stream
  let normed: Matrix  // [tokens, hiddenSize]
  let queries: Matrix  // [tokens, heads * headSize]
  let keys: Matrix  // [tokens, kvHeads * headSize]
  let values: Matrix  // [tokens, kvHeads * headSize]
  let attended: Matrix  // [tokens, heads * headSize]
  let contribution: Matrix  // [tokens, hiddenSize]: what a sublayer adds to the residual stream
  let gateUp: Matrix  // [tokens, 2 * intermediateSize]
  let activated: Matrix  // [tokens, intermediateSize]
  let cosines: Matrix  // [tokens, headSize / 2]
  let sines: Matrix  // [tokens, headSize / 2]
  let productScratch: UnsafeMutablePointer<Float>

  init(
    _ configuration: ModelConfiguration, tokens: Int, kernels: Kernels, arena: ScratchArena
  ) throws(XverseError) {
    let hiddenSize = configuration.hiddenSize
    let queryWidth = configuration.headCount * configuration.headSize
    let kvWidth = configuration.kvHeadCount * configuration.headSize
    residual = try arena.matrix(rows: tokens, columns: hiddenSize)
    normed = try arena.matrix(rows: tokens, columns: hiddenSize)
    queries = try arena.matrix(rows: tokens, columns: queryWidth)
    keys = try arena.matrix(rows: tokens, columns: kvWidth)
    values = try arena.matrix(rows: tokens, columns: kvWidth)
    attended = try arena.matrix(rows: tokens, columns: queryWidth)
    contribution = try arena.matrix(rows: tokens, columns: hiddenSize)
    gateUp = try arena.matrix(rows: tokens, columns: 2 * configuration.intermediateSize)
    activated = try arena.matrix(rows: tokens, columns: configuration.intermediateSize)
    cosines = try arena.matrix(rows: tokens, columns: configuration.headSize / 2)
    sines = try arena.matrix(rows: tokens, columns: configuration.headSize / 2)
    let widest = max(hiddenSize, queryWidth, configuration.intermediateSize)
    productScratch = try arena.floats(kernels.productScratch(tokens: tokens, columns: widest))
  }
}
