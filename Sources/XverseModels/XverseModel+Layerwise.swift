// XverseModel+Layerwise.swift -- one layer at a time over many sequences: how calibration runs a model.

import XverseCore
import XverseTensors

extension XverseModel {
  /// Runs `layer` on the hidden states `[tokens, hiddenSize]` of a whole sequence, in place.
  ///
  /// - Parameters:
  ///   - observer: Sees the inputs of the layer's products.
  ///   - cache: Of one layer, with room for the tokens; emptied first.
  ///   - arena: Reset and used for everything.
  package func forward(
    _ states: Matrix, through layer: DecoderLayer, observer: (any ProjectionObserver)?, cache: KVCache,
    kernels: Kernels, arena: ScratchArena, cancellation: Cancellation?
  ) throws(XverseError) {
    arena.reset()
    cache.truncate(to: 0)
    let workspace = try Workspace(
      configuration, tokens: states.rows, positions: states.rows, kernels: kernels, arena: arena)
    try cache.reserve(states.rows)
    let pass = ForwardPass(
      kernels: kernels, workspace: workspace, cancellation: cancellation, observer: observer)
    rotaryEmbedding.fill(
      cosines: workspace.cosines, sines: workspace.sines, startingAt: 0, sequenceLength: states.rows)
    let segments = [cache.segment(row: 0, tokens: states.rows)]
    try layer.forward(states, pass, cache: SegmentsLayerCache(segments: segments, layout: cache.layout, layer: 0))
  }
  /// Replaces the hidden states `[tokens, hiddenSize]` behind the last layer by the inputs of the head.
  package func normalize(_ states: Matrix, kernels: Kernels) {
    kernels.rmsNorm(into: states, states, weight: finalNorm.weight, epsilon: finalNorm.epsilon)
  }
}
