// LayerCache.swift -- whose keys and values the tokens of a pass attend to: consecutive tokens to those of one
// sequence, or each token to those of its own.

import XverseTensors

/// The keys and values of one layer, as a pass needs them.
package protocol LayerCache {
  /// Takes the pass's keys and values, then attends with its queries to everything up to themselves: into `attended`.
  func attend(_ work: Workspace, _ kernels: Kernels)
}

/// One sequence, to which all tokens of the pass belong, the first of them at `position`.
struct SequenceLayerCache: LayerCache {
  let blocks: KVBlocks
  let position: Int

  func attend(_ work: Workspace, _ kernels: Kernels) {
    kernels.store(keys: work.keys, values: work.values, at: position, in: blocks)
    kernels.attend(
      into: work.attended, queries: work.queries, at: position, over: blocks, scratch: work.scratch)
  }
}

/// Several sequences, each of which gets one token of the pass.
struct BatchLayerCache: LayerCache {
  let caches: [KVCache]
  let layer: Int

  func attend(_ work: Workspace, _ kernels: Kernels) {
    for (row, cache) in caches.enumerated() {
      let token = row..<row + 1
      let (blocks, position) = (cache.layer(layer), cache.length)
      kernels.store(keys: work.keys.rows(token), values: work.values.rows(token), at: position, in: blocks)
      kernels.attend(
        into: work.attended.rows(token), queries: work.queries.rows(token), at: position, over: blocks,
        scratch: work.scratch)
    }
  }
}
