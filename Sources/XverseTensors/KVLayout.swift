// KVLayout.swift -- how the blocks of a KV cache hold keys and values, and which of them a pass reads and writes.

import CXverseKernels

/// How an element of a key or a value is stored.
package enum KVElement: String, CaseIterable, Sendable {
  case float32 = "f32"
  case float16 = "f16"
  case int8 = "int8"

  /// Bytes that the key or the value of a KV head takes at one position; int8 has a scale for each.
  package func bytes(headSize: Int) -> Int {
    switch self {
    case .float32: 4 * headSize
    case .float16: 2 * headSize
    case .int8: headSize + MemoryLayout<Float>.size
    }
  }

  /// The same type as the kernels name it.
  var kernelType: xvk_dtype {
    switch self {
    case .float32: XVK_F32
    case .float16: XVK_F16
    case .int8: XVK_INT8
    }
  }
}

/// A block: the keys and values of `positionsPerBlock` positions in all layers,
/// `[layers, 2 (keys, values), bytesPerPart]`.
///
/// The part of keys is `[kvHeads, headSize, positions]`, that of values `[kvHeads, positions, headSize]`; with int8,
/// those of a head are followed by the scales of its positions.
package struct KVLayout: Sendable, Equatable {
  package static let positionsPerBlock = XVK_KV_BLOCK
  /// Widest head that the kernels take.
  package static let maximumHeadSize = XVK_MAX_HEAD_SIZE

  package let element: KVElement
  package let layerCount: Int
  package let kvHeadCount: Int
  package let headSize: Int

  package init(element: KVElement, layerCount: Int, kvHeadCount: Int, headSize: Int) {
    self.element = element
    self.layerCount = layerCount
    self.kvHeadCount = kvHeadCount
    self.headSize = headSize
  }

  /// Bytes of the keys, or of the values, of one layer in a block.
  package var bytesPerPart: Int { kvHeadCount * element.bytes(headSize: headSize) * Self.positionsPerBlock }

  package var bytesPerBlock: Int { layerCount * 2 * bytesPerPart }

  /// Bytes that one position takes in all layers.
  package var bytesPerPosition: Int { bytesPerBlock / Self.positionsPerBlock }

  /// Where the keys of a layer stand in a block, in bytes.
  package func keyOffset(layer: Int) -> Int { 2 * layer * bytesPerPart }

  /// Where the values of a layer stand in a block, in bytes.
  package func valueOffset(layer: Int) -> Int { keyOffset(layer: layer) + bytesPerPart }
}

/// Consecutive tokens of a pass, rows `row ..< row + tokens`, which stand at `position` and up in one sequence.
///
/// `blocks` are the starts of all blocks of the sequence up to there, in order of position.
package typealias KVSegment = xvk_segment

extension xvk_segment {
  package init(blocks: UnsafePointer<UnsafeMutableRawPointer?>, position: Int, row: Int, tokens: Int) {
    self.init(blocks: blocks, position: Int64(position), row: Int64(row), tokens: Int64(tokens))
  }
}
