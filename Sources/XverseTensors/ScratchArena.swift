// ScratchArena.swift -- the memory of one forward pass: taken piece by piece, given back all at once, kept for the next
// pass, so that decoding a token allocates nothing.

import XverseCore

/// A stack of memory blocks whose pieces never move until `reset`.
///
/// Threads: one at a time; the runtime uses it on its compute thread only.
package final class ScratchArena {
  private struct Block {
    let base: UnsafeMutableRawPointer
    let capacity: Int
    var used = 0
  }

  private let allocator: MemoryAllocator
  private var blocks: [Block] = []

  /// Bytes asked of an arena that only measures.
  private var measuredBytes: Int?

  package init(allocator: MemoryAllocator) { self.allocator = allocator }

  /// An arena that takes no memory: it counts what another would hold, and nothing may touch its pieces.
  package static var measuring: ScratchArena {
    let arena = ScratchArena(allocator: .system)
    arena.measuredBytes = 0
    return arena
  }

  deinit { release() }

  /// Bytes held from the allocator.
  package var byteCount: Int { measuredBytes ?? blocks.reduce(0) { $0 + $1.capacity } }

  /// An uninitialized matrix that stays in place until `reset`.
  package func matrix(rows: Int, columns: Int) throws(XverseError) -> Matrix {
    Matrix(data: try floats(rows * columns), rows: rows, columns: columns)
  }

  /// `count` uninitialized floats, aligned to a cache line, that stay in place until `reset`.
  package func floats(_ count: Int) throws(XverseError) -> UnsafeMutablePointer<Float> {
    let unit = MemoryAllocator.alignment
    let bytes = (count * MemoryLayout<Float>.stride + unit - 1) / unit * unit
    if let measured = measuredBytes {
      measuredBytes = measured + bytes
      return Self.nowhere
    }
    if let last = blocks.indices.last, blocks[last].capacity - blocks[last].used >= bytes {
      return take(bytes, from: last)
    }
    try addBlock(bytes)
    return take(bytes, from: blocks.count - 1)
  }

  /// `count` uninitialized elements that stay in place until `reset`.
  package func elements<Element: BitwiseCopyable>(
    of type: Element.Type, count: Int
  ) throws(XverseError) -> UnsafeMutableBufferPointer<Element> {
    let unit = MemoryLayout<Float>.stride
    let memory = UnsafeMutableRawPointer(try floats((count * MemoryLayout<Element>.stride + unit - 1) / unit))
    return UnsafeMutableBufferPointer(start: memory.bindMemory(to: Element.self, capacity: count), count: count)
  }

  /// Makes all pieces invalid. What the last pass needed becomes one block, so that the next one fits without growing.
  package func reset() {
    if blocks.count > 1 {
      let total = byteCount
      release()
      // Without memory for one block the next pass starts from nothing and reports the shortage itself.
      try? addBlock(total)
    }
    for index in blocks.indices { blocks[index].used = 0 }
  }

  private static var nowhere: UnsafeMutablePointer<Float> {
    UnsafeMutablePointer(bitPattern: MemoryAllocator.alignment).unsafelyUnwrapped
  }

  private func take(_ bytes: Int, from index: Int) -> UnsafeMutablePointer<Float> {
    let piece = blocks[index].base + blocks[index].used
    blocks[index].used += bytes
    return piece.assumingMemoryBound(to: Float.self)
  }

  private func addBlock(_ bytes: Int) throws(XverseError) {
    blocks.append(Block(base: try allocator.allocate(bytes), capacity: bytes))
  }

  private func release() {
    for block in blocks { allocator.deallocate(block.base, bytes: block.capacity) }
    blocks.removeAll()
  }
}
