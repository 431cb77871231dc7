// LayerCache.swift -- whose keys and values the tokens of a pass attend to: those of one sequence, or of several.

import XverseTensors

/// The keys and values of one layer, as a pass needs them.
package protocol LayerCache {
  /// Takes the pass's keys and values, then attends with its queries to everything up to themselves: into `attended`.
  func attend(_ work: Workspace, _ kernels: Kernels)
}

/// Segments of sequences, each of which gets some tokens of the pass.
struct SegmentsLayerCache: LayerCache {
  let segments: [KVSegment]
  let layout: KVLayout
  let layer: Int

  func attend(_ work: Workspace, _ kernels: Kernels) {
    segments.withUnsafeBufferPointer { segments in
      kernels.store(keys: work.keys, values: work.values, layer: layer, of: layout, segments: segments)
      kernels.attend(
        into: work.attended, queries: work.queries, layer: layer, of: layout, segments: segments, scratch: work.scratch)
    }
  }
}
