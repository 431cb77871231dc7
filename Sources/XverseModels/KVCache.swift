// KVCache.swift -- the keys and values of one sequence, in blocks that never move: the cache grows without copying and
// its memory follows the length of the sequence, not the size of the context.

import XverseCore
import XverseTensors

/// Keys and values of all layers of one sequence. It may share blocks with other sequences that begin with the same tokens.
///
/// Threads: one owner at a time.
package final class KVCache {
  /// Positions filled so far.
  package private(set) var length = 0
  /// Most positions.
  package let capacity: Int
  package let layout: KVLayout

  /// Where its blocks come from.
  package let source: any KVBlockSource
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

  /// Makes room for `count` positions in all, of which those from `start` on can then be written: blocks that others hold
  /// too are replaced by copies.
  ///
  /// - Parameters:
  ///   - count: At most `capacity`.
  ///   - start: At most `length`; nil for `length`.
  /// - Throws: `outOfMemory`; the positions filled so far are as before, and no more of them take memory of their own.
  package func reserve(_ count: Int, writingFrom start: Int? = nil) throws(XverseError) {
    precondition(count <= capacity, "reserving \(count) of \(capacity) positions")
    let heldCount = blockCount
    do throws(XverseError) {
      var index = (start ?? length) / KVLayout.positionsPerBlock
      while index < min(heldCount, layout.blockCount(positions: count)) {
        if block(at: index).isShared {
          // While memory was looked for, the others may have let go.
          do throws(XverseError) { try replace(index) } catch { if block(at: index).isShared { throw error } }
        }
        index += 1
      }
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

  /// Forgets all but the first `count` positions. Blocks of its own stay for those to come.
  package func truncate(to count: Int) {
    precondition(count >= 0 && count <= length, "truncating \(length) positions to \(count)")
    length = count
    let needed = layout.blockCount(positions: count)
    while blockCount > needed, block(at: blockCount - 1).isShared { releaseBlocks(from: blockCount - 1) }
  }

  // MARK: sharing

  /// The blocks of the first `count` positions; the last may hold others' positions too.
  package func blocks(positions count: Int) -> [KVBlock] {
    precondition(count >= 0 && count <= length, "blocks of \(count) of \(length) positions")
    return (0..<layout.blockCount(positions: count)).map(block(at:))
  }

  /// Holds `blocks`, which others filled with the keys and values of `count` positions, in place of what it holds.
  package func adopt(_ blocks: [KVBlock], positions count: Int) {
    precondition(
      count <= capacity && layout.blockCount(positions: count) == blocks.count, "adopting \(count) positions")
    let common = zip(0..<blockCount, blocks).prefix { block(at: $0) === $1 }.count
    releaseBlocks(from: common)
    for block in blocks[common...] { append(block) }
    length = count
  }

  private func block(at index: Int) -> KVBlock {
    Unmanaged<KVBlock>.fromOpaque(table[tableWidth + index].unsafelyUnwrapped).takeUnretainedValue()
  }

  /// Puts a copy of its own in the place of a block; of one that holds no position yet, an empty one.
  private func replace(_ index: Int) throws(XverseError) {
    let shared = block(at: index)
    let copy = try KVBlock(layout, from: source)
    if index * KVLayout.positionsPerBlock < length {
      copy.base.copyMemory(from: shared.base, byteCount: shared.byteCount)
    }
    copy.hold()
    table[index] = copy.base
    table[tableWidth + index] = Unmanaged.passRetained(copy).toOpaque()
    shared.drop()
    Unmanaged.passUnretained(shared).release()
  }

  /// The rows `row ..< row + tokens` of a pass, which follow the positions filled so far; valid as long as the cache.
  func segment(row: Int, tokens: Int) -> KVSegment {
    KVSegment(blocks: table.elements.baseAddress.unsafelyUnwrapped, position: length, row: row, tokens: tokens)
  }

  private var tableWidth: Int { table.count / 2 }

  private func append(_ block: KVBlock) {
    block.hold()
    table[blockCount] = block.base
    table[tableWidth + blockCount] = Unmanaged.passRetained(block).toOpaque()
    blockCount += 1
  }

  private func releaseBlocks(from first: Int) {
    for index in first..<blockCount {
      guard let pointer = table[tableWidth + index] else { continue }
      let block = Unmanaged<KVBlock>.fromOpaque(pointer).takeRetainedValue()
      block.drop()
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
  package func blockCount(positions: Int) -> Int { (positions + Self.positionsPerBlock - 1) / Self.positionsPerBlock }
}
