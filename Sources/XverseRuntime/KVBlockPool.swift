// KVBlockPool.swift -- the KV blocks of all sessions of a runtime.

import Synchronization
import XverseCore
import XverseModels

/// Takes blocks from the runtime's allocator and counts those in use.
///
/// Threads: any thread may use it at any time.
package final class KVBlockPool: KVBlockSource {
  private let allocator: MemoryAllocator
  private let blocks = Atomic<Int>(0)
  private let bytes = Atomic<Int>(0)

  package init(allocator: MemoryAllocator) { self.allocator = allocator }

  /// Blocks that caches hold now, and their bytes.
  package var blockCount: Int { blocks.load(ordering: .relaxed) }
  package var byteCount: Int { bytes.load(ordering: .relaxed) }

  package func takeBlock(byteCount: Int) throws(XverseError) -> UnsafeMutableRawPointer {
    let base = try allocator.allocate(byteCount)
    blocks.add(1, ordering: .relaxed)
    bytes.add(byteCount, ordering: .relaxed)
    return base
  }

  package func giveBackBlock(_ base: UnsafeMutableRawPointer, byteCount: Int) {
    allocator.deallocate(base, bytes: byteCount)
    blocks.subtract(1, ordering: .relaxed)
    bytes.subtract(byteCount, ordering: .relaxed)
  }
}
