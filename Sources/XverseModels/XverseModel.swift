// XverseModel.swift -- the dense XVERSE transformer, which is LLaMA's (Touvron et al. 2023): embedding, pre-norm blocks,
// final norm, lm_head. Weights are used where the checkpoint holds them.

import XverseCore
import XverseFormats
import XverseTensors

/// A loaded model: weights and the formula. Immutable; any number of sequences may use it.
package final class XverseModel: Sendable {
  package let configuration: ModelConfiguration
  package let rotaryEmbedding: RotaryEmbedding

  package let embedding: WeightMatrix  // [vocabularySize, hiddenSize]
  package let layers: [DecoderLayer]
  package let finalNorm: RMSNorm
  package let head: WeightMatrix  // lm_head [vocabularySize, hiddenSize]

  /// What the matrices stand in: a checkpoint, or memory of their own.
  private let memory: [any WeightMemory]
  /// Holds the widened norm weights.
  private let norms: NormWeights

  init(
    _ configuration: ModelConfiguration, embedding: WeightMatrix, layers: [DecoderLayer], finalNorm: RMSNorm,
    head: WeightMatrix, memory: [any WeightMemory], norms: NormWeights
  ) {
    self.configuration = configuration
    self.embedding = embedding
    self.layers = layers
    self.finalNorm = finalNorm
    self.head = head
    self.memory = memory
    self.norms = norms
    rotaryEmbedding = RotaryEmbedding(
      base: configuration.ropeTheta, scaling: configuration.ropeScaling, headSize: configuration.headSize,
      maximumPositions: configuration.maximumPositions)
  }

  /// The same model with other matrices, which stand in `memory`.
  package convenience init(
    _ model: XverseModel, embedding: WeightMatrix, layers: [DecoderLayer], head: WeightMatrix,
    memory: [any WeightMemory]
  ) {
    self.init(
      model.configuration, embedding: embedding, layers: layers, finalNorm: model.finalNorm, head: head, memory: memory,
      norms: model.norms)
  }

  /// The same model over no memory, for what is left when its weights go: nothing may use its matrices.
  package var withoutMatrices: XverseModel {
    XverseModel(self, embedding: embedding, layers: layers, head: head, memory: [])
  }

  /// Tells that these weights, of this model, will not be read again soon: pages of a mapped file can go.
  package func discardPages(of weights: WeightMatrix) {
    let bytes = UnsafeRawBufferPointer(start: weights.data, count: weights.byteCount)
    for part in memory { part.discardPages(of: bytes) }
  }

  /// Appends `tokens` to the sequence of `cache` and returns the final hidden states `[tokens, hiddenSize]`, which stay
  /// in the arena until it is reset.
  ///
  /// - Parameters:
  ///   - tokens: Ids below `vocabularySize`, at least one, which fit in the cache.
  ///   - sequenceLength: Positions in the sequence when the evaluation that this pass is part of ends.
  ///   - arena: Reset and used for everything; no memory is taken when it was as large before.
  /// - Throws: `cancelled`, `deadline`, `outOfMemory`; the cache is then as long as before.
  package func forward(
    _ tokens: UnsafeBufferPointer<Int32>, cache: KVCache, sequenceLength: Int, kernels: Kernels,
    arena: ScratchArena, cancellation: Cancellation?
  ) throws(XverseError) -> Matrix {
    arena.reset()
    let workspace = try Workspace(
      configuration, tokens: tokens.count, positions: cache.capacity, kernels: kernels, arena: arena)
    try cache.reserve(cache.length + tokens.count)
    let pass = ForwardPass(kernels: kernels, workspace: workspace, cancellation: cancellation)
    rotaryEmbedding.fill(
      cosines: workspace.cosines, sines: workspace.sines, startingAt: cache.length, sequenceLength: sequenceLength)
    kernels.rows(into: workspace.residual, of: embedding, ids: tokens)
    let segments = [cache.segment(row: 0, tokens: tokens.count)]
    for (index, layer) in layers.enumerated() {
      try layer.forward(
        workspace.residual, pass, cache: SegmentsLayerCache(segments: segments, layout: cache.layout, layer: index))
    }
    finalNorm.forward(into: workspace.normed, workspace.residual, pass)
    cache.advance(by: tokens.count)
    return workspace.normed
  }

  /// The logits of final hidden states: `logits [states.rows, vocabularySize]`.
  ///
  /// - Parameter scratch: As many floats as `logitScratch` says for at least `states.rows` rows.
  package func logits(
    into logits: Matrix, of states: Matrix, kernels: Kernels, scratch: UnsafeMutablePointer<Float>,
    cancellation: Cancellation?
  ) throws(XverseError) {
    try kernels.multiply(
      states, Kernels.Product(head, into: logits), scratch: scratch, cancellation: cancellation)
  }

  /// The same with scratch from `arena`.
  package func logits(
    into logits: Matrix, of states: Matrix, kernels: Kernels, arena: ScratchArena, cancellation: Cancellation?
  ) throws(XverseError) {
    let scratch = try logitScratch(rows: states.rows, kernels: kernels, arena: arena)
    try self.logits(into: logits, of: states, kernels: kernels, scratch: scratch, cancellation: cancellation)
  }

  /// Scratch for the logits of `rows` states.
  package func logitScratch(
    rows: Int, kernels: Kernels, arena: ScratchArena
  ) throws(XverseError) -> UnsafeMutablePointer<Float> {
    try arena.floats(kernels.productScratch(tokens: rows, columns: configuration.hiddenSize))
  }
}
