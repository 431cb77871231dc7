// Kernels+Attention.swift -- attention over KV caches in blocks, of all sequences of a pass at once.

import CXverseKernels
import XverseCore

extension Kernels {
  /// Writes `keys` and `values`, `[rows of the pass, kvHeads * headSize]`, of the tokens of all segments; the blocks
  /// must be there, and no sequence may occur twice.
  package func store(
    keys: Matrix, values: Matrix, layer: Int, of layout: KVLayout, segments: UnsafeBufferPointer<KVSegment>
  ) {
    precondition(keys.columns == layout.kvHeadCount * layout.headSize && values.columns == keys.columns, "shapes of KV")
    precondition(values.rows == keys.rows, "rows of KV")
    var cache = Self.cache(layer, of: layout, segments, rows: keys.rows)
    withCompute { xvk_kv_store($0, &cache, keys.data, values.data) }
  }

  /// Causal attention of the tokens of all segments, `queries [rows of the pass, heads * headSize]`, each over its own
  /// sequence, whose blocks already hold the pass's keys and values; `output` has the shape of `queries`.
  ///
  /// - Parameter scratch: `attentionScratch` floats for at least as many tokens and positions.
  package func attend(
    into output: Matrix, queries: Matrix, layer: Int, of layout: KVLayout, segments: UnsafeBufferPointer<KVSegment>,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let heads = queries.columns / layout.headSize
    precondition(output.columns == queries.columns && output.rows == queries.rows, "shapes of attention")
    precondition(heads * layout.headSize == queries.columns && heads % layout.kvHeadCount == 0, "heads of attention")
    let scale = Float(1 / Double(layout.headSize).squareRoot())
    var cache = Self.cache(layer, of: layout, segments, rows: queries.rows)
    withCompute { xvk_attention($0, output.data, queries.data, &cache, Int64(heads), scale, scratch) }
  }

  private static func cache(
    _ layer: Int, of layout: KVLayout, _ segments: UnsafeBufferPointer<KVSegment>, rows: Int
  ) -> xvk_kv {
    precondition(layer >= 0 && layer < layout.layerCount, "layer \(layer) of \(layout.layerCount)")
    for segment in segments {
      precondition(segment.tokens > 0 && segment.row >= 0 && segment.row + segment.tokens <= rows, "rows of a segment")
    }
    return xvk_kv(
      dtype: layout.element.kernelType, key_offset: Int64(layout.keyOffset(layer: layer)),
      value_offset: Int64(layout.valueOffset(layer: layer)), kv_heads: Int64(layout.kvHeadCount),
      head_size: Int64(layout.headSize), segments: segments.baseAddress, segment_count: Int64(segments.count))
  }

  /// Floats of scratch that the attention of a pass of up to `tokens` tokens needs, in any number of segments that end
  /// at any of `positions` positions.
  package func attentionScratch(positions: Int, tokens: Int, headCount: Int, kvHeadCount: Int, headSize: Int) -> Int {
    withCompute {
      xvk_attention_scratch(
        $0, Int64(positions), Int64(tokens), Int64(headCount), Int64(kvHeadCount), Int64(headSize))
    }
  }
}
