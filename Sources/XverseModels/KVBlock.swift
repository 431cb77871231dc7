// KVBlock.swift -- the unit of memory of KV caches, and where it comes from.

import Synchronization
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

/// Keys and values of `KVLayout.positionsPerBlock` positions of a sequence in all layers. Any number of caches and indexes
/// may hold a block; it goes back to its source with the last of them. What one of several holders would write, it writes
/// into a copy.
package final class KVBlock: @unchecked Sendable {
  /// `[layers, 2 (keys, values), bytesPerPart]`, as `KVLayout` says.
  package let base: UnsafeMutableRawPointer
  package let byteCount: Int
  private let source: any KVBlockSource
  private let holders = Atomic<Int>(0)

  package init(_ layout: KVLayout, from source: any KVBlockSource) throws(XverseError) {
    byteCount = layout.bytesPerBlock
    base = try source.takeBlock(byteCount: byteCount)
    self.source = source
  }

  deinit { source.giveBackBlock(base, byteCount: byteCount) }

  /// Whether more than one holds it. A sole holder stays the only one until it shares the block itself.
  package var isShared: Bool { holders.load(ordering: .acquiring) > 1 }

  /// Counts a holder, who keeps a reference as long.
  package func hold() { holders.add(1, ordering: .relaxed) }

  /// Ends what `hold` began; what the holder wrote and read is done before another finds itself alone.
  package func drop() { holders.subtract(1, ordering: .releasing) }
}
