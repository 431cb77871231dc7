// ForwardPass.swift -- what the layers share while they evaluate a batch: its segments, kernels, work memory, the flag
// that can end it.

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

/// One evaluation of a batch. Valid until its arena is reset.
struct ForwardPass {
  let kernels: Kernels
  let workspace: Workspace
  /// The layout of all caches of the batch, and where its segments stand in them.
  let layout: KVLayout
  let segments: UnsafeBufferPointer<KVSegment>
  let cancellation: Cancellation?
  let observer: (any LinearObserver)?

  /// Resets `arena`, makes room in the caches and computes the rotary angles of all tokens.
  ///
  /// - Throws: `outOfMemory`; the caches are then as long as before.
  init(
    _ batch: TokenBatch, of model: XverseModel, kernels: Kernels, arena: ScratchArena, cancellation: Cancellation?,
    observer: (any LinearObserver)? = nil
  ) throws(XverseError) {
    guard let first = batch.segments.first else { throw XverseError(.internal, "a pass without tokens") }
    arena.reset()
    // The most that attention will ever see: decoding then needs no more memory than the first token.
    let positions = batch.segments.reduce(0) { max($0, $1.cache.capacity) }
    workspace = try Workspace(
      model.configuration, tokens: batch.tokenCount, positions: positions, kernels: kernels, arena: arena)
    let segments = try arena.elements(of: KVSegment.self, count: batch.segments.count)
    for (index, segment) in batch.segments.enumerated() {
      try segment.cache.reserve(segment.cache.length + segment.tokens.count)
      segments[index] = segment.cache.segment(row: segment.row, tokens: segment.tokens.count)
      model.rotaryEmbedding.fill(
        cosines: workspace.cosines.rows(segment.rows), sines: workspace.sines.rows(segment.rows),
        startingAt: segment.cache.length, sequenceLength: segment.sequenceLength)
    }
    layout = first.cache.layout
    self.segments = UnsafeBufferPointer(segments)
    self.kernels = kernels
    self.cancellation = cancellation
    self.observer = observer
  }

  /// `y = x Wᵀ` for up to three W.
  func multiply(
    _ x: Matrix, _ first: Kernels.Product, _ second: Kernels.Product? = nil, _ third: Kernels.Product? = nil
  ) throws(XverseError) {
    try kernels.multiply(
      x, first, second, third, scratch: workspace.scratch, cancellation: cancellation)
  }

  /// Stores the pass's keys and values of a layer, then attends with its queries to everything up to themselves: into
  /// `workspace.attended`.
  func attend(layer: Int) {
    kernels.store(keys: workspace.keys, values: workspace.values, layer: layer, of: layout, segments: segments)
    kernels.attend(
      into: workspace.attended, queries: workspace.queries, layer: layer, of: layout, segments: segments,
      scratch: workspace.scratch)
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

  /// Takes what a pass of `tokens` tokens of at most `positions`, and the logits of `outputs` rows, take of an arena.
  package static func reserveScratch(
    in arena: ScratchArena, for configuration: ModelConfiguration, tokens: Int, positions: Int, outputs: Int = 1,
    kernels: Kernels
  ) throws(XverseError) {
    _ = try Workspace(configuration, tokens: tokens, positions: positions, kernels: kernels, arena: arena)
    _ = try arena.matrix(rows: outputs, columns: configuration.vocabularySize)
    _ = try arena.floats(kernels.productScratch(tokens: outputs, columns: configuration.hiddenSize))
  }
}
