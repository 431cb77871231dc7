// HostFiles.swift -- files that are no files of the system: the host's own functions hand out their bytes.

import XverseCore

/// Named contents behind two functions of the host, as in `xverse_source`.
///
/// Threads: called by one thread at a time, the one that loads.
package struct HostFiles: @unchecked Sendable {
  /// The length in bytes of what is called `name`; negative when there is no such thing.
  package typealias Length = (_ name: UnsafePointer<CChar>) -> Int64
  /// Copies at most `buffer.count` bytes from `offset` on; returns how many, 0 at the end, negative when it cannot.
  package typealias ReadAt =
    (_ name: UnsafePointer<CChar>, _ offset: Int64, _ buffer: UnsafeMutableRawBufferPointer) -> Int64

  private let lengthOf: Length
  private let readAt: ReadAt

  package init(length: @escaping Length, readAt: @escaping ReadAt) {
    lengthOf = length
    self.readAt = readAt
  }

  /// nil when there is no file of that name.
  func length(of name: FilePath) -> Int? {
    let length = name.withCString { lengthOf($0) }
    return length < 0 ? nil : Int(length)
  }

  /// Copies bytes to the beginning of `destination`, as many as the host gives at once.
  ///
  /// - Returns: Their number, at least 1; 0 at the end.
  /// - Throws: `io` when the host cannot, `callback` when it claims more than it was asked for.
  func read(
    _ name: FilePath, into destination: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(XverseError) -> Int {
    let count = name.withCString { readAt($0, Int64(offset), destination) }
    guard count >= 0 else {
      throw .io("\(name.inMessage): read_at returned \(count) for \(destination.count) bytes at byte \(offset)")
    }
    guard count <= destination.count else {
      throw XverseError(
        .callback,
        "\(name.inMessage): read_at returned \(count), expected at most the \(destination.count) it was asked for")
    }
    return Int(count)
  }
}
