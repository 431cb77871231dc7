// XverseModel.swift -- the dense XVERSE transformer, which is LLaMA's (Touvron et al. 2023): embedding, pre-norm blocks,
// final norm, lm_head. Weights are used where the checkpoint holds them.

import XverseCore
import XverseFormats
import XverseTensors

/// A loaded model: weights and the formula. Immutable; any number of sequences may use it.
package final class XverseModel: Sendable {
  package let configuration: ModelConfiguration
  package let rotaryEmbedding: RotaryEmbedding

  package let embedding: Linear  // [vocabularySize, hiddenSize]
  package let layers: [DecoderLayer]
  package let finalNorm: RMSNorm
  /// lm_head `[vocabularySize, hiddenSize]`; the embedding itself where the two are tied.
  package let head: Linear

  /// What the matrices stand in: a checkpoint, or memory of their own.
  private let memory: [any WeightMemory]
  /// Holds the widened norm weights.
  private let normWeights: NormWeights

  init(
    _ configuration: ModelConfiguration, embedding: Linear, layers: [DecoderLayer], finalNorm: RMSNorm,
    head: Linear, memory: [any WeightMemory], normWeights: NormWeights
  ) {
    self.configuration = configuration
    self.embedding = embedding
    self.layers = layers
    self.finalNorm = finalNorm
    self.head = head
    self.memory = memory
    self.normWeights = normWeights
    rotaryEmbedding = RotaryEmbedding(
      base: configuration.ropeTheta, scaling: configuration.ropeScaling, headSize: configuration.headSize,
      maximumPositions: configuration.maximumPositions)
  }

  /// The same model with other matrices, which stand in `memory`.
  package convenience init(
    _ model: XverseModel, embedding: Linear, layers: [DecoderLayer], head: Linear,
    memory: [any WeightMemory]
  ) {
    self.init(
      model.configuration, embedding: embedding, layers: layers, finalNorm: model.finalNorm, head: head, memory: memory,
      normWeights: model.normWeights)
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

  /// Appends the tokens of a batch to their sequences and returns the final hidden states that it wants,
  /// `[batch.outputCount, hiddenSize]`, in the order of its segments; they stay in the arena until it is reset.
  ///
  /// - Parameters:
  ///   - batch: At least one segment, all tokens of which fit in their caches.
  ///   - arena: Reset and used for everything; no memory is taken when it was as large before.
  /// - Throws: `cancelled`, `deadline`, `outOfMemory`; the caches are then as long as before.
  package func forward(
    _ batch: TokenBatch, kernels: Kernels, arena: ScratchArena, cancellation: Cancellation?
  ) throws(XverseError) -> Matrix {
    // Nothing may be computed once the process ends.
    try cancellation.check()
    let pass = try ForwardPass(batch, of: self, kernels: kernels, arena: arena, cancellation: cancellation)
    let (states, outputs) = (pass.workspace.residual, pass.workspace.normed)
    for segment in batch.segments {
      kernels.rows(into: states.rows(segment.rows), of: embedding.weights, ids: segment.tokens)
    }
    for (index, layer) in layers.enumerated() { try layer.forward(states, pass, layer: index) }
    var row = 0
    for segment in batch.segments where !segment.outputs.isEmpty {
      let wanted = segment.row + segment.outputs.lowerBound..<segment.row + segment.outputs.upperBound
      finalNorm.forward(into: outputs.rows(row..<row + wanted.count), states.rows(wanted), kernels)
      row += wanted.count
    }
    for segment in batch.segments { segment.cache.advance(by: segment.tokens.count) }
    return outputs.rows(0..<row)
  }

  /// The same, and the logits of the outputs, `[batch.outputCount, vocabularySize]`, in the arena too.
  package func logits(
    of batch: TokenBatch, kernels: Kernels, arena: ScratchArena, cancellation: Cancellation?
  ) throws(XverseError) -> Matrix {
    let states = try forward(batch, kernels: kernels, arena: arena, cancellation: cancellation)
    let logits = try arena.matrix(rows: max(1, states.rows), columns: configuration.vocabularySize)
    if states.rows > 0 {
      try self.logits(into: logits, of: states, kernels: kernels, arena: arena, cancellation: cancellation)
    }
    return logits.rows(0..<states.rows)
  }

  /// Runs one layer on the hidden states `[batch.tokenCount, hiddenSize]` of a batch, in place: how calibration goes through
  /// a model. The caches have that one layer, and are as long as before.
  ///
  /// - Parameters:
  ///   - observer: Sees what the layer's matrices multiply.
  ///   - arena, Throws: As for the whole model.
  package func forward(
    _ states: Matrix, of batch: TokenBatch, through layer: DecoderLayer, observer: (any LinearObserver)?,
    kernels: Kernels, arena: ScratchArena, cancellation: Cancellation?
  ) throws(XverseError) {
    let pass = try ForwardPass(
      batch, of: self, kernels: kernels, arena: arena, cancellation: cancellation, observer: observer)
    try layer.forward(states, pass, layer: 0)
  }

  /// Replaces the hidden states `[tokens, hiddenSize]` behind the last layer by the inputs of the head.
  package func normalize(_ states: Matrix, kernels: Kernels) { finalNorm.forward(into: states, states, kernels) }

  /// The logits of final hidden states: `logits [states.rows, vocabularySize]`.
  ///
  /// - Parameter scratch: As many floats as `logitScratch` says for at least `states.rows` rows.
  package func logits(
    into logits: Matrix, of states: Matrix, kernels: Kernels, scratch: UnsafeMutablePointer<Float>,
    cancellation: Cancellation?
  ) throws(XverseError) {
    try kernels.multiply(
      states, Kernels.Product(head.weights, into: logits), scratch: scratch, cancellation: cancellation)
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
