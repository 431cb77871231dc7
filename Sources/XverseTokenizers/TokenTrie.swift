// TokenTrie.swift -- finds the longest of many fixed texts that begins at a position: how added tokens are recognized.

import XverseCore

/// A prefix tree over bytes. A look-up takes at most `maximumLength` steps, however many texts there are.
struct TokenTrie: ~Copyable {
  /// Longest text.
  static let maximumLength = 256

  /// The value at each node, -1 for none; node 0 is the root.
  private var values: Buffer<Int32>
  /// (node, byte) to node.
  private var edges: PairTable
  /// The bytes that texts begin with.
  private var firstBytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  /// - Parameter byteCount: Most bytes of all texts together.
  init(byteCount: Int, allocator: MemoryAllocator) throws(XverseError) {
    let edges = try PairTable(capacity: byteCount, allocator: allocator)
    values = try Buffer(repeating: -1, count: 1, allocator: allocator)
    self.edges = edges
  }

  var isEmpty: Bool { values.count == 1 }

  /// Adds a text of 1 to `maximumLength` bytes.
  ///
  /// - Returns: Whether the text is new; if not, nothing has changed.
  mutating func insert(_ text: UnsafeRawBufferPointer, value: Int32) throws(XverseError) -> Bool {
    precondition(!text.isEmpty && text.count <= Self.maximumLength, "text of \(text.count) bytes")
    markFirst(text[0])
    var node: Int32 = 0
    for byte in text {
      var child = edges[node, Int32(byte)]
      if child == PairTable.absent {
        child = Int32(values.count)
        try values.append(-1)
        edges.insert(node, Int32(byte), value: child)
      }
      node = child
    }
    guard values[Int(node)] < 0 else { return false }
    values[Int(node)] = value
    return true
  }

  /// The longest text at `position` whose value `isAllowed` accepts.
  func longestMatch(
    in bytes: UnsafeRawBufferPointer, at position: Int, where isAllowed: (Int32) -> Bool
  ) -> (value: Int32, end: Int)? {
    guard isFirst(bytes[position]) else { return nil }
    var match: (value: Int32, end: Int)?
    var node: Int32 = 0
    for end in position..<bytes.count {
      node = edges[node, Int32(bytes[end])]
      if node == PairTable.absent { break }
      let value = values[Int(node)]
      if value >= 0 && isAllowed(value) { match = (value, end + 1) }
    }
    return match
  }

  private mutating func markFirst(_ byte: UInt8) {
    let bit: UInt64 = 1 << UInt64(byte & 63)
    switch byte >> 6 {
    case 0: firstBytes.0 |= bit
    case 1: firstBytes.1 |= bit
    case 2: firstBytes.2 |= bit
    default: firstBytes.3 |= bit
    }
  }

  private func isFirst(_ byte: UInt8) -> Bool {
    let word =
      switch byte >> 6 {
      case 0: firstBytes.0
      case 1: firstBytes.1
      case 2: firstBytes.2
      default: firstBytes.3
      }
    return word >> UInt64(byte & 63) & 1 != 0
  }
}
