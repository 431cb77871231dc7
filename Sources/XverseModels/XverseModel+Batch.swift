// XverseModel+Batch.swift -- decoding for several sequences at once: each weight is read once for all of them.

import XverseCore
import XverseTensors

extension XverseModel {
  /// Appends `tokens[i]` to the sequence of `caches[i]` and returns the final hidden states
  /// `[caches.count, hiddenSize]`, which stay in the arena until it is reset.
  ///
  /// Up to 47 sequences get the bits that each would get alone; with quantized weights any number.
  ///
  /// - Parameters:
  ///   - tokens: Ids below `vocabularySize`, one for each cache.
  ///   - caches: Of different sequences with room for a token, all of one layout, at least one.
  ///   - arena: Reset and used for everything.
  /// - Throws: `cancelled`, `deadline`, `outOfMemory`; the caches are then as long as before.
  package func forward(
    _ tokens: UnsafeBufferPointer<Int32>, caches: [KVCache], kernels: Kernels, arena: ScratchArena,
    cancellation: Cancellation?
  ) throws(XverseError) -> Matrix {
    precondition(tokens.count == caches.count, "\(tokens.count) tokens for \(caches.count) sequences")
    precondition(caches.allSatisfy { $0.layout == caches[0].layout }, "caches of several layouts")
    arena.reset()
    let longest = caches.reduce(0) { max($0, $1.capacity) }
    let workspace = try Workspace(
      configuration, tokens: tokens.count, positions: longest, kernels: kernels, arena: arena)
    for (row, cache) in caches.enumerated() {
      try cache.reserve(cache.length + 1)
      rotaryEmbedding.fill(
        cosines: workspace.cosines.rows(row..<row + 1), sines: workspace.sines.rows(row..<row + 1),
        startingAt: cache.length, sequenceLength: cache.length + 1)
    }
    let pass = ForwardPass(kernels: kernels, workspace: workspace, cancellation: cancellation)
    kernels.rows(into: workspace.residual, of: embedding, ids: tokens)
    let segments = caches.enumerated().map { row, cache in cache.segment(row: row, tokens: 1) }
    for (index, layer) in layers.enumerated() {
      try layer.forward(
        workspace.residual, pass, cache: SegmentsLayerCache(segments: segments, layout: caches[0].layout, layer: index))
    }
    finalNorm.forward(into: workspace.normed, workspace.residual, pass)
    for cache in caches { cache.advance(by: 1) }
    return workspace.normed
  }
}
