// ReplacementFile.swift -- a file that takes its place, or that of another file, as a whole or not at all: written under
// another name beside it, then renamed. At any moment, also after a crash, the place holds all of the old file, or nothing if
// there was none, or all of the new one.

import Glibc
import XverseCore

/// The next contents of a file, in the making. What was not published when the object goes is removed. What a crash left of an
/// earlier one is used again.
package final class ReplacementFile {
  private let destination: FilePath
  private let partial: FilePath
  private var file: OutputFile
  private var isPublished = false

  /// A file that may replace another; readable by its owner alone.
  ///
  /// - Throws: `unsupported` when something else than a file is at `path`, `busy` when another object is writing the same
  ///   file; `invalid`, `notFound`, `io`.
  package init(path: some PathName) throws(XverseError) {
    destination = try FilePath(path)
    if try destination.exists() {
      let kind = try destination.kind()
      guard kind == .regularFile else { throw destination.notAFile(kind, expected: "a regular file") }
    }
    partial = try FilePath(bytes: destination.bytes + ".partial".utf8)
    file = OutputFile(path: partial, adopting: try Self.open(partial, for: destination, mode: 0o600))
  }

  /// A file where there is nothing yet.
  ///
  /// - Throws: `misuse` when there is something at `path`, `busy` when another object is writing the same file; `invalid`,
  ///   `notFound`, `io`.
  package init(newAt path: some PathName) throws(XverseError) {
    destination = try FilePath(path)
    guard !(try destination.exists()) else {
      throw .misuse("\(destination.inMessage) exists already, expected the name of a new file")
    }
    partial = try FilePath(bytes: destination.bytes + ".partial".utf8)
    file = OutputFile(path: partial, adopting: try Self.open(partial, for: destination, mode: 0o644))
  }

  deinit {
    if !isPublished { _ = partial.withCString { unlink($0) } }
  }

  package func write(_ bytes: UnsafeRawBufferPointer) throws(XverseError) { try file.write(bytes) }

  /// Waits until the disk has everything, and lets it take the place.
  package func publish() throws(XverseError) {
    try file.finish()
    let isRenamed = partial.withCString { source in destination.withCString { rename(source, $0) } } == 0
    guard isRenamed else { throw destination.failure(errno, to: "replace") }
    isPublished = true
    try destination.directory.synchronize()
  }

  /// Opens the file under its other name, locked and empty.
  private static func open(
    _ partial: FilePath, for destination: FilePath, mode: mode_t
  ) throws(XverseError) -> Int32 {
    let flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK
    let busy = XverseError(.busy, "\(destination.inMessage) is being written by another call or process")
    // On a file system whose files change their numbers this would never end.
    for _ in 0..<1000 {
      let number = partial.withCString { Glibc.open($0, flags, mode) }
      guard number >= 0 else {
        if errno == EINTR { continue }
        throw partial.failure(errno, to: "create")
      }
      // A file system without locks does without.
      if flock(number, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
        close(number)
        throw busy
      }
      var (own, named) = (stat(), stat())
      let isThere = fstat(number, &own) == 0 && partial.withCString { lstat($0, &named) } == 0
      // Between the two calls the one before may have published it: then this is not the file of that name any more.
      guard isThere, own.st_ino == named.st_ino, own.st_dev == named.st_dev else {
        close(number)
        continue
      }
      guard FilePath.kind(of: own) == .regularFile, ftruncate(number, 0) == 0 else {
        close(number)
        throw XverseError.io("\(partial.inMessage): cannot write it, expected a regular file")
      }
      return number
    }
    throw busy
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
