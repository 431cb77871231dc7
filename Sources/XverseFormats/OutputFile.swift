// OutputFile.swift -- a new file that is written from its beginning to its end.

import Glibc
import XverseCore

/// A file that did not exist before, open for writing.
struct OutputFile: ~Copyable {
  private struct Descriptor: ~Copyable {
    let number: Int32
    deinit { close(number) }
  }

  private let path: FilePath
  private let descriptor: Descriptor

  /// Most bytes handed to the system at a time, so that a cancelled copy ends soon.
  static let chunkLength = 64 << 20

  /// - Throws: `io` when there is a file already, or none can be made.
  init(path: some PathName) throws(XverseError) {
    let path = try FilePath(path)
    let number = path.withCString { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0o644) }
    guard number >= 0 else { throw path.failure(errno, to: "create") }
    self.path = path
    descriptor = Descriptor(number: number)
  }

  /// A file that is open for writing already, at its beginning.
  init(path: FilePath, adopting number: Int32) {
    self.path = path
    descriptor = Descriptor(number: number)
  }

  /// - Parameter progress: Called with the number of bytes written after every `chunkLength`.
  mutating func write(
    _ bytes: UnsafeRawBufferPointer,
    progress: (_ count: Int) throws(XverseError) -> Void = { (_) throws(XverseError) in }
  ) throws(XverseError) {
    var done = 0
    while done < bytes.count {
      let rest = bytes[done...].prefix(Self.chunkLength)
      let count = Glibc.write(descriptor.number, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count >= 0 {
        done += count
        try progress(count)
      } else if errno != EINTR {
        throw path.failure(errno, to: "write")
      }
    }
  }

  mutating func write(_ text: String) throws(XverseError) {
    var bytes = Buffer<UInt8>()
    try bytes.append(utf8: text)
    try write(UnsafeRawBufferPointer(bytes.elements))
  }

  /// Waits until the disk has everything.
  func finish() throws(XverseError) {
    guard fsync(descriptor.number) == 0 else { throw path.failure(errno, to: "write") }
  }
}
