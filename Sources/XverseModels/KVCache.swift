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

  private let layerCount: Int
  private let kvHeadCount: Int
  private let headSize: Int
  private let element: KVBlocks.Element
  private let allocator: MemoryAllocator
  /// One allocation a block: `[layers, 2 (keys, values), bytesPerPart]`.
  private var blockCount = 0
  /// `[layers, 2, tableWidth]`: where the blocks of each layer stand.
  private var table: Buffer<UnsafeMutableRawPointer?>
  private let tableWidth: Int

  /// - Parameter layerCount: nil for all of the model's.
  package init(
    _ configuration: ModelConfiguration, layerCount: Int? = nil, element: KVBlocks.Element, capacity: Int,
    allocator: MemoryAllocator
  ) throws(XverseError) {
    self.capacity = capacity
    self.element = element
    self.allocator = allocator
    self.layerCount = layerCount ?? configuration.layerCount
    kvHeadCount = configuration.kvHeadCount
    headSize = configuration.headSize
    tableWidth = (capacity + KVBlocks.positions - 1) / KVBlocks.positions
    table = try Buffer(repeating: nil, count: self.layerCount * 2 * tableWidth, allocator: allocator)
  }

  deinit { releaseBlocks(from: 0) }

  /// Bytes held for keys and values.
  package var byteCount: Int { blockCount * bytesPerBlock }

  /// Bytes that one position takes in all layers.
  package var bytesPerPosition: Int { bytesPerBlock / KVBlocks.positions }

  /// Bytes that a cache of this size takes for keys and values when it is full, and to tell where they are.
  package static func byteCount(
    _ configuration: ModelConfiguration, element: KVBlocks.Element, capacity: Int
  ) -> (perPosition: Int, blocks: Int, table: Int) {
    let blockCount = (capacity + KVBlocks.positions - 1) / KVBlocks.positions
    let parts = configuration.layerCount * 2
    let perPosition = parts * configuration.kvHeadCount * element.bytes(headSize: configuration.headSize)
    return (
      perPosition, blockCount * KVBlocks.positions * perPosition,
      parts * blockCount * MemoryLayout<UnsafeMutableRawPointer?>.stride
    )
  }

  /// Makes room for `count` positions in all; `count` is at most `capacity`.
  ///
  /// - Throws: `outOfMemory`, after which nothing is held for this call.
  package func reserve(_ count: Int) throws(XverseError) {
    precondition(count <= capacity, "reserving \(count) of \(capacity) positions")
    let heldCount = blockCount
    do throws(XverseError) {
      while blockCount * KVBlocks.positions < count { try addBlock() }
    } catch {
      releaseBlocks(from: heldCount)
      throw error
    }
  }

  /// Counts `tokens` positions, whose keys and values every layer has stored, as filled.
  package func advance(by tokens: Int) {
    precondition(length + tokens <= blockCount * KVBlocks.positions, "advancing beyond the reserved blocks")
    length += tokens
  }

  /// Forgets all but the first `count` positions; the memory stays for those to come.
  package func truncate(to count: Int) {
    precondition(count >= 0 && count <= length, "truncating \(length) positions to \(count)")
    length = count
  }

  /// The blocks of one layer; valid until the next `reserve`.
  func layer(_ index: Int) -> KVBlocks {
    let start = table.elements.baseAddress.unsafelyUnwrapped + index * 2 * tableWidth
    return KVBlocks(
      keys: start, values: start + tableWidth, element: element, kvHeadCount: kvHeadCount, headSize: headSize)
  }

  private func addBlock() throws(XverseError) {
    let base = try allocator.allocate(bytesPerBlock)
    for part in 0..<layerCount * 2 {
      table[part * tableWidth + blockCount] = base + part * bytesPerPart
    }
    blockCount += 1
  }

  private func releaseBlocks(from first: Int) {
    for block in first..<blockCount {
      if let base = table[block] { allocator.deallocate(base, bytes: bytesPerBlock) }
    }
    blockCount = first
  }

  private var bytesPerPart: Int { kvHeadCount * element.bytes(headSize: headSize) * KVBlocks.positions }
  private var bytesPerBlock: Int { layerCount * 2 * bytesPerPart }
}
