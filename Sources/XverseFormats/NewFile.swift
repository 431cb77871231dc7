// NewFile.swift -- a file that appears as a whole or not at all: written under another name beside its place, then renamed.

import Glibc
import XverseCore

/// A new file in the making. What was not published when the object goes is removed.
package final class NewFile {
  private let destination: FilePath
  private let partial: FilePath
  private var file: OutputFile
  private var isPublished = false

  /// - Throws: `misuse` when there is something at `path`; `invalid`, `io`.
  package init(path: some PathName) throws(XverseError) {
    destination = try FilePath(path)
    guard !(try destination.exists()) else {
      throw .misuse("\(destination.inMessage) exists already, expected the name of a new file")
    }
    partial = try FilePath(bytes: destination.bytes + ".partial-\(getpid())".utf8)
    file = try OutputFile(path: partial)
  }

  deinit {
    if !isPublished { _ = partial.withCString { unlink($0) } }
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(XverseError) { try file.write(bytes) }

  /// Waits until the disk has everything, and gives the file its name.
  func publish() throws(XverseError) {
    try file.finish()
    let isRenamed = partial.withCString { source in destination.withCString { rename(source, $0) } } == 0
    guard isRenamed else { throw destination.failure(errno, to: "create") }
    isPublished = true
    try destination.directory.synchronize()
  }
}

extension FilePath {
  /// Waits until the disk has the entries of a directory.
  func synchronize() throws(XverseError) {
    let descriptor = withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw failure(errno, to: "open") }
    defer { close(descriptor) }
    // Some file systems have nothing to wait for and say EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure(errno, to: "write") }
  }
}
