// KVBlock.swift -- the unit of memory of KV caches, and where it comes from.

import XverseCore
import XverseTensors

/// Hands out the memory of KV blocks. The runtime's decides what is kept, shared and given up.
///
/// Threads: any thread may call any member at any time.
package protocol KVBlockSource: AnyObject, Sendable {
  /// - Throws: `outOfMemory`.
  func takeBlock(byteCount: Int) throws(XverseError) -> UnsafeMutableRawPointer
  func giveBackBlock(_ base: UnsafeMutableRawPointer, byteCount: Int)
}

/// Each block is an allocation of its own.
extension MemoryAllocator: KVBlockSource {
  package func takeBlock(byteCount: Int) throws(XverseError) -> UnsafeMutableRawPointer { try allocate(byteCount) }
  package func giveBackBlock(_ base: UnsafeMutableRawPointer, byteCount: Int) { deallocate(base, bytes: byteCount) }
}

/// Keys and values of `KVLayout.positionsPerBlock` positions of a sequence in all layers. Counted: any number of caches may
/// hold a block, and it goes back to its source with the last of them.
package final class KVBlock: @unchecked Sendable {
  /// `[layers, 2 (keys, values), bytesPerPart]`, as `KVLayout` says.
  package let base: UnsafeMutableRawPointer
  private let byteCount: Int
  private let source: any KVBlockSource

  package init(_ layout: KVLayout, from source: any KVBlockSource) throws(XverseError) {
    byteCount = layout.bytesPerBlock
    base = try source.takeBlock(byteCount: byteCount)
    self.source = source
  }

  deinit { source.giveBackBlock(base, byteCount: byteCount) }
}
