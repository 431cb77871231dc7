// Kernels+Attention.swift -- attention over a KV cache in blocks.

import CXverseKernels
import XverseCore

/// The key and value blocks of one layer, in order of position: what attention reads and writes.
///
/// Each block holds `KVBlocks.positions` positions: keys `[kvHeads, headSize, positions]`, values
/// `[kvHeads, positions, headSize]`; with int8, those of a head are followed by the scales of its positions.
package struct KVBlocks {
  package enum Element: String, CaseIterable, Sendable {
    case float32 = "f32"
    case float16 = "f16"
    case int8 = "int8"

    /// Bytes that the key or the value of a KV head takes at one position.
    package func bytes(headSize: Int) -> Int {
      switch self {
      case .float32: 4 * headSize
      case .float16: 2 * headSize
      case .int8: headSize + MemoryLayout<Float>.size
      }
    }
  }

  /// Positions in a block.
  package static let positions = XVK_KV_BLOCK
  /// Widest head that the kernels take.
  package static let maximumHeadSize = XVK_MAX_HEAD_SIZE

  package let keys: UnsafePointer<UnsafeMutableRawPointer?>
  package let values: UnsafePointer<UnsafeMutableRawPointer?>
  package let element: Element
  package let kvHeadCount: Int
  package let headSize: Int

  package init(
    keys: UnsafePointer<UnsafeMutableRawPointer?>, values: UnsafePointer<UnsafeMutableRawPointer?>,
    element: Element, kvHeadCount: Int, headSize: Int
  ) {
    self.keys = keys
    self.values = values
    self.element = element
    self.kvHeadCount = kvHeadCount
    self.headSize = headSize
  }
}

extension Kernels {
  /// Writes `keys` and `values`, `[tokens, kvHeads * headSize]`, at `position` and up; the blocks must be there.
  package func store(keys: Matrix, values: Matrix, at position: Int, in cache: KVBlocks) {
    precondition(keys.columns == cache.kvHeadCount * cache.headSize && values.columns == keys.columns, "shapes of KV")
    let store =
      switch cache.element {
      case .float32: xvk_kv_store_f32
      case .float16: xvk_kv_store_f16
      case .int8: xvk_kv_store_int8
      }
    withCompute {
      store(
        $0, cache.keys, cache.values, keys.data, values.data, Int64(position), Int64(keys.rows),
        Int64(cache.kvHeadCount), Int64(cache.headSize))
    }
  }

  /// Causal attention of `queries [tokens, heads * headSize]`, the first of which stands at `position`, over the cache,
  /// which already holds their own keys and values; `output` has the shape of `queries`.
  ///
  /// - Parameter scratch: `attentionScratch` floats for at least as many tokens and `position + tokens` positions.
  package func attend(
    into output: Matrix, queries: Matrix, at position: Int, over cache: KVBlocks, scratch: UnsafeMutablePointer<Float>
  ) {
    let heads = queries.columns / cache.headSize
    precondition(output.columns == queries.columns && output.rows == queries.rows, "shapes of attention")
    precondition(heads * cache.headSize == queries.columns && heads % cache.kvHeadCount == 0, "heads of attention")
    let scale = Float(1 / Double(cache.headSize).squareRoot())
    let attention =
      switch cache.element {
      case .float32: xvk_attention_f32_f32
      case .float16: xvk_attention_f32_f16
      case .int8: xvk_attention_f32_int8
      }
    // C has no implicit conversion from `void *const *` to `const void *const *`; the memory is the same.
    cache.keys.withMemoryRebound(to: UnsafeRawPointer?.self, capacity: 1) { keys in
      cache.values.withMemoryRebound(to: UnsafeRawPointer?.self, capacity: 1) { values in
        withCompute {
          attention(
            $0, output.data, queries.data, keys, values, Int64(position), Int64(queries.rows), Int64(heads),
            Int64(cache.kvHeadCount), Int64(cache.headSize), scale, scratch)
        }
      }
    }
  }

  /// Floats of scratch that the attention of up to `tokens` tokens needs at any of `positions` positions.
  package func attentionScratch(positions: Int, tokens: Int, headCount: Int, kvHeadCount: Int, headSize: Int) -> Int {
    withCompute {
      xvk_attention_scratch(
        $0, Int64(positions), Int64(tokens), Int64(headCount), Int64(kvHeadCount), Int64(headSize))
    }
  }
}
