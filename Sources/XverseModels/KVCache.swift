// KVCache.swift -- the keys and values of one sequence, in blocks of 64 positions that never move: the cache grows
// without copying and its memory follows the length of the sequence, not the size of the context.

import XverseCore
import XverseTensors

/// Keys and values of all layers of one sequence.
///
/// Threads: one owner at a time.
package final class KVCache {
  /// Positions filled so far.
  package private(set) var length = 0
  /// Most positions.
  package let capacity: Int

  let layout: KVLayout
  private let allocator: MemoryAllocator
  /// One allocation a block.
  private var blockCount = 0
  /// Where the blocks stand, in order of position.
  private var table: Buffer<UnsafeMutableRawPointer?>

  /// - Parameter layerCount: nil for all of the model's.
  package init(
    _ configuration: ModelConfiguration, layerCount: Int? = nil, element: KVElement, capacity: Int,
    allocator: MemoryAllocator
  ) throws(XverseError) {
    self.capacity = capacity
    self.allocator = allocator
    layout = KVLayout(
      element: element, layerCount: layerCount ?? configuration.layerCount, kvHeadCount: configuration.kvHeadCount,
      headSize: configuration.headSize)
    let count = (capacity + KVLayout.positionsPerBlock - 1) / KVLayout.positionsPerBlock
    table = try Buffer(repeating: nil, count: count, allocator: allocator)
  }

  deinit { releaseBlocks(from: 0) }

  /// Bytes held for keys and values.
  package var byteCount: Int { blockCount * layout.bytesPerBlock }

  /// Bytes that one position takes in all layers.
  package var bytesPerPosition: Int { layout.bytesPerPosition }

  /// Bytes that a cache of this size takes for keys and values when it is full, and to tell where they are.
  package static func byteCount(
    _ configuration: ModelConfiguration, element: KVElement, capacity: Int
  ) -> (perPosition: Int, blocks: Int, table: Int) {
    let blockCount = (capacity + KVLayout.positionsPerBlock - 1) / KVLayout.positionsPerBlock
    let layout = KVLayout(
      element: element, layerCount: configuration.layerCount, kvHeadCount: configuration.kvHeadCount,
      headSize: configuration.headSize)
    return (
      layout.bytesPerPosition, blockCount * layout.bytesPerBlock,
      blockCount * MemoryLayout<UnsafeMutableRawPointer?>.stride
    )
  }

  /// Makes room for `count` positions in all; `count` is at most `capacity`.
  ///
  /// - Throws: `outOfMemory`, after which nothing is held for this call.
  package func reserve(_ count: Int) throws(XverseError) {
    precondition(count <= capacity, "reserving \(count) of \(capacity) positions")
    let heldCount = blockCount
    do throws(XverseError) {
      while blockCount * KVLayout.positionsPerBlock < count { try addBlock() }
    } catch {
      releaseBlocks(from: heldCount)
      throw error
    }
  }

  /// Counts `tokens` positions, whose keys and values every layer has stored, as filled.
  package func advance(by tokens: Int) {
    precondition(length + tokens <= blockCount * KVLayout.positionsPerBlock, "advancing beyond the reserved blocks")
    length += tokens
  }

  /// Forgets all but the first `count` positions; the memory stays for those to come.
  package func truncate(to count: Int) {
    precondition(count >= 0 && count <= length, "truncating \(length) positions to \(count)")
    length = count
  }

  /// The rows `row ..< row + tokens` of a pass, which follow the positions filled so far; valid as long as the cache.
  func segment(row: Int, tokens: Int) -> KVSegment {
    KVSegment(
      blocks: table.elements.baseAddress.unsafelyUnwrapped, position: length, row: row, tokens: tokens)
  }

  private func addBlock() throws(XverseError) {
    table[blockCount] = try allocator.allocate(layout.bytesPerBlock)
    blockCount += 1
  }

  private func releaseBlocks(from first: Int) {
    for block in first..<blockCount {
      if let base = table[block] { allocator.deallocate(base, bytes: layout.bytesPerBlock) }
    }
    blockCount = first
  }
}
