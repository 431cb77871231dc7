// Kernels+Attention.swift -- attention over a KV cache in blocks.

import CXverseKernels
import XverseCore

/// The key and value blocks of one layer, in order of position: what attention reads and writes.
///
/// Each block holds `KVBlocks.positions` positions: keys `[kvHeads, headSize, positions]`, values
/// `[kvHeads, positions, headSize]`.
package struct KVBlocks {
  package enum Element: String, CaseIterable, Sendable {
    case float32 = "f32"
    case float16 = "f16"

    package var size: Int { self == .float32 ? 4 : 2 }
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
    let store = cache.element == .float32 ? xvk_kv_store_f32 : xvk_kv_store_f16
    withCompute {
      store(
        $0, cache.keys, cache.values, keys.data, values.data, Int64(position), Int64(keys.rows),
        Int64(cache.kvHeadCount), Int64(cache.headSize))
    }
  }

  /// Causal attention of `queries [tokens, heads * headSize]`, the first of which stands at `position`, over the cache,
  /// which already holds their own keys and values; `output` has the shape of `queries`.
  package func attend(into output: Matrix, queries: Matrix, at position: Int, over cache: KVBlocks) {
    let heads = queries.columns / cache.headSize
    precondition(output.columns == queries.columns && output.rows == queries.rows, "shapes of attention")
    precondition(heads * cache.headSize == queries.columns && heads % cache.kvHeadCount == 0, "heads of attention")
    let scale = Float(1 / Double(cache.headSize).squareRoot())
    let attention = cache.element == .float32 ? xvk_attention_f32_f32 : xvk_attention_f32_f16
    // C has no implicit conversion from `void *const *` to `const void *const *`; the memory is the same.
    cache.keys.withMemoryRebound(to: UnsafeRawPointer?.self, capacity: 1) { keys in
      cache.values.withMemoryRebound(to: UnsafeRawPointer?.self, capacity: 1) { values in
        withCompute {
          attention(
            $0, output.data, queries.data, keys, values, Int64(position), Int64(queries.rows), Int64(heads),
            Int64(cache.kvHeadCount), Int64(cache.headSize), scale)
        }
      }
    }
  }
}
