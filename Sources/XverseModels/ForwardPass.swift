// ForwardPass.swift -- what the layers share while they evaluate some tokens: kernels, work memory, the flag that can
// end it.

import XverseCore
import XverseTensors

/// Sees what the matrices of a layer multiply.
package protocol LinearObserver: AnyObject {
  /// Called on the thread of the pass before the products are made; `x [tokens, inputs]` is valid during the call.
  func observe(_ input: LinearInput, _ x: Matrix)
}

extension Kernels.Product {
  /// The product with `linear`, which goes to the columns of `y` from `column` on.
  init(_ linear: Linear, into y: Matrix, column: Int = 0) { self.init(linear.weights, into: y, column: column) }
}

/// One evaluation of some tokens. Valid until its arena is reset.
package struct ForwardPass {
  let kernels: Kernels
  let workspace: Workspace
  let cancellation: Cancellation?
  var observer: (any LinearObserver)?

  /// `y = x Wᵀ` for up to three W.
  func multiply(
    _ x: Matrix, _ first: Kernels.Product, _ second: Kernels.Product? = nil, _ third: Kernels.Product? = nil
  ) throws(XverseError) {
    try kernels.multiply(
      x, first, second, third, scratch: workspace.scratch, cancellation: cancellation)
  }
}

/// The intermediate results of one layer, reused by the next; `[tokens, ...]` each.
package struct Workspace {
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
  /// Of one product or attention at a time.
  let scratch: UnsafeMutablePointer<Float>

  /// - Parameter positions: The most that attention will see: decoding then never needs more memory than before.
  init(
    _ configuration: ModelConfiguration, tokens: Int, positions: Int, kernels: Kernels, arena: ScratchArena
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
    let forProducts = kernels.productScratch(tokens: tokens, columns: widest)
    let forAttention = kernels.attentionScratch(
      positions: positions, tokens: tokens, headCount: configuration.headCount,
      kvHeadCount: configuration.kvHeadCount, headSize: configuration.headSize)
    scratch = try arena.floats(max(forProducts, forAttention))
  }
}

extension XverseModel {
  /// Most tokens that a sequence should bring to one pass: as many as keep the matrix products at the multipliers' speed.
  package static let tokensPerPass = 512

  /// Takes what a pass of `tokens` tokens of at most `positions`, and the logits of one row, take of an arena.
  package static func reserveScratch(
    in arena: ScratchArena, for configuration: ModelConfiguration, tokens: Int, positions: Int, kernels: Kernels
  ) throws(XverseError) {
    _ = try Workspace(configuration, tokens: tokens, positions: positions, kernels: kernels, arena: arena)
    _ = try arena.matrix(rows: 1, columns: configuration.vocabularySize)
    _ = try arena.floats(kernels.productScratch(tokens: 1, columns: configuration.hiddenSize))
  }
}
