// TextList.swift -- byte strings of any number one after the other in memory that can be refused: the tokens and merges
// of a file that keeps them as lists.

import XverseCore

/// Byte strings by index.
package struct TextList: ~Copyable {
  private var bytes: Buffer<UInt8>
  /// Where each text ends in `bytes`.
  private var ends: Buffer<Int>

  package init(allocator: MemoryAllocator = .system) {
    bytes = Buffer(allocator: allocator)
    ends = Buffer(allocator: allocator)
  }

  package var count: Int { ends.count }

  /// Bytes of all texts together.
  package var byteCount: Int { bytes.count }

  /// Appends a text. After an error the list is as before.
  package mutating func append(_ text: UnsafeRawBufferPointer) throws(XverseError) {
    let before = bytes.count
    try bytes.append(bytes: text)
    do {
      try ends.append(bytes.count)
    } catch {
      bytes.truncate(to: before)
      throw error
    }
  }

  /// The bytes of a text; valid until the next mutation.
  package subscript(index: Int) -> UnsafeRawBufferPointer {
    let start = index == 0 ? 0 : ends[index - 1]
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes.elements)[start..<ends[index]])
  }
}
