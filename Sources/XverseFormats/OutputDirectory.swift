// OutputDirectory.swift -- a directory that appears as a whole or not at all: written under another name beside its place,
// then renamed.

import Glibc
import XverseCore

/// A new directory in the making. What was not published when the object goes is removed.
package final class OutputDirectory {
  private let destination: FilePath
  private let partial: FilePath
  private var names: [String] = []
  private var isPublished = false

  /// - Throws: `misuse` when there is something at `path`; `notFound`, `io`, `invalid`.
  package init(path: some PathName) throws(XverseError) {
    var trimmed = path.pathBytes
    while trimmed.count > 1, trimmed.last == UInt8(ascii: "/") { trimmed.removeLast() }
    destination = try FilePath(bytes: trimmed)
    guard !(try destination.exists()) else {
      throw .misuse("\(destination.inMessage) exists already, expected the name of a new directory")
    }
    partial = try FilePath(bytes: trimmed + ".partial-\(getpid())".utf8)
    guard partial.withCString({ mkdir($0, 0o755) }) == 0 else { throw partial.failure(errno, to: "create") }
  }

  deinit {
    if isPublished { return }
    for name in names { _ = (try? partial.appending(name))?.withCString { unlink($0) } }
    _ = partial.withCString { rmdir($0) }
  }

  /// The path of a new file in it, which the directory then removes or publishes.
  func path(of name: String) throws(XverseError) -> FilePath {
    names.append(name)
    return try partial.appending(name)
  }

  /// Writes a small file.
  package func write(_ bytes: UnsafeRawBufferPointer, to name: String) throws(XverseError) {
    var file = try OutputFile(path: path(of: name))
    try file.write(bytes)
    try file.finish()
  }

  /// Gives the directory its name.
  package func publish() throws(XverseError) {
    try partial.synchronize()
    let isRenamed = partial.withCString { source in destination.withCString { rename(source, $0) } } == 0
    guard isRenamed else { throw destination.failure(errno, to: "create") }
    isPublished = true
    try destination.directory.synchronize()
  }
}
