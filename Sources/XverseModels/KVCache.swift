// KVCache.swift -- the keys and values of one sequence, in blocks that never move: the cache grows without copying and
// its memory follows the length of the sequence, not the size of the context.

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
  package let layout: KVLayout

  private let source: any KVBlockSource
  private var blockCount = 0
  /// Where each block stands, as the kernels read it, and behind that the blocks themselves, retained; `capacity` blocks
  /// of each.
  private var table: Buffer<UnsafeMutableRawPointer?>

  /// - Parameters:
  ///   - source: Where blocks come from, as the sequence grows.
  ///   - allocator: For the table of blocks.
  /// - Throws: `outOfMemory`.
  package init(
    _ layout: KVLayout, capacity: Int, source: any KVBlockSource, allocator: MemoryAllocator
  ) throws(XverseError) {
    self.layout = layout
    self.capacity = capacity
    self.source = source
    table = try Buffer(repeating: nil, count: 2 * layout.blockCount(positions: capacity), allocator: allocator)
  }

  deinit { releaseBlocks(from: 0) }

  /// Bytes held for keys and values.
  package var byteCount: Int { blockCount * layout.bytesPerBlock }

  /// Bytes that a full cache takes for keys and values, and for the table of their places.
  package static func byteCount(_ layout: KVLayout, capacity: Int) -> (blocks: Int, table: Int) {
    let count = layout.blockCount(positions: capacity)
    return (count * layout.bytesPerBlock, 2 * count * MemoryLayout<UnsafeMutableRawPointer?>.stride)
  }

  /// Makes room for `count` positions in all; `count` is at most `capacity`.
  ///
  /// - Throws: `outOfMemory`, after which nothing is held for this call.
  package func reserve(_ count: Int) throws(XverseError) {
    precondition(count <= capacity, "reserving \(count) of \(capacity) positions")
    let heldCount = blockCount
    do throws(XverseError) {
      while blockCount < layout.blockCount(positions: count) { append(try KVBlock(layout, from: source)) }
    } catch {
      releaseBlocks(from: heldCount)
      throw error
    }
  }

  /// Counts `tokens` positions, whose keys and values every layer has stored, as filled.
  package func advance(by tokens: Int) {
    precondition(layout.blockCount(positions: length + tokens) <= blockCount, "advancing beyond the reserved blocks")
    length += tokens
  }

  /// Forgets all but the first `count` positions; the memory stays for those to come.
  package func truncate(to count: Int) {
    precondition(count >= 0 && count <= length, "truncating \(length) positions to \(count)")
    length = count
  }

  /// The rows `row ..< row + tokens` of a pass, which follow the positions filled so far; valid as long as the cache.
  func segment(row: Int, tokens: Int) -> KVSegment {
    KVSegment(blocks: table.elements.baseAddress.unsafelyUnwrapped, position: length, row: row, tokens: tokens)
  }

  private var tableWidth: Int { table.count / 2 }

  private func append(_ block: KVBlock) {
    table[blockCount] = block.base
    table[tableWidth + blockCount] = Unmanaged.passRetained(block).toOpaque()
    blockCount += 1
  }

  private func releaseBlocks(from first: Int) {
    for index in first..<blockCount {
      if let block = table[tableWidth + index] { Unmanaged<KVBlock>.fromOpaque(block).release() }
    }
    blockCount = first
  }
}

extension KVLayout {
  /// What a model of this configuration keeps of each position.
  ///
  /// - Parameter layerCount: nil for all of the model's layers.
  package init(_ configuration: ModelConfiguration, _ element: KVElement, layerCount: Int? = nil) {
    self.init(
      element: element, layerCount: layerCount ?? configuration.layerCount, kvHeadCount: configuration.kvHeadCount,
      headSize: configuration.headSize)
  }

  /// Blocks that so many positions take.
  func blockCount(positions: Int) -> Int { (positions + Self.positionsPerBlock - 1) / Self.positionsPerBlock }
}
