// ByteReader.swift -- the checked reader of outside bytes: binary formats touch a file's bytes through nothing else.

import XverseCore

/// Reads little-endian integers and slices; whatever passes the end throws.
///
/// Threads: a value like any other. The bytes must stay in place as long as the reader and its slices are used.
struct ByteReader {
  private let bytes: UnsafeRawBufferPointer
  private let source: String
  private(set) var position = 0

  /// - Parameter source: The file's name in messages.
  init(_ bytes: UnsafeRawBufferPointer, source: String) {
    self.bytes = bytes
    self.source = source
  }

  /// Reads the integer at `position` and moves past it.
  ///
  /// - Parameter what: What the integer is, for the message.
  /// - Throws: `corrupt` when the bytes end before; `position` is then unchanged.
  mutating func readInteger<Integer: FixedWidthInteger>(
    _ type: Integer.Type = Integer.self, _ what: String
  ) throws(XverseError) -> Integer where Integer: BitwiseCopyable {
    let piece = try slice(at: position, count: MemoryLayout<Integer>.size, what)
    position += piece.count
    return Integer(littleEndian: piece.loadUnaligned(as: Integer.self))
  }

  /// The next `count` bytes, past which it moves.
  mutating func readBytes(_ count: Int, _ what: String) throws(XverseError) -> UnsafeRawBufferPointer {
    let piece = try slice(at: position, count: count, what)
    position += count
    return piece
  }

  /// The `count` bytes from `offset` on, wherever `position` is.
  func slice(at offset: Int, count: Int, _ what: String) throws(XverseError) -> UnsafeRawBufferPointer {
    let (end, overflow) = offset.addingReportingOverflow(count)
    guard offset >= 0, count >= 0, !overflow, end <= bytes.count else {
      throw .corrupt(
        "\(source): \(what) needs \(count) bytes at byte \(offset), but there are \(bytes.count) bytes",
        offset: offset)
    }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
  }
}
