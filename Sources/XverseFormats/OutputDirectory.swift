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
  package init(path: String) throws(XverseError) {
    var trimmed = path
    while trimmed.utf8.count > 1, trimmed.utf8.last == UInt8(ascii: "/") { trimmed.removeLast() }
    destination = try FilePath(trimmed)
    guard !(try destination.exists()) else {
      throw .misuse("\(destination.inMessage) exists already, expected the name of a new directory")
    }
    partial = try FilePath("\(trimmed).partial-\(getpid())")
    guard partial.text.withCString({ mkdir($0, 0o755) }) == 0 else { throw partial.failure(errno, to: "create") }
  }

  deinit {
    if isPublished { return }
    for name in names { _ = (try? partial.appending(name))?.text.withCString { unlink($0) } }
    _ = partial.text.withCString { rmdir($0) }
  }

  /// The path of a new file in it, which the directory then removes or publishes.
  func path(of name: String) throws(XverseError) -> String {
    names.append(name)
    return try partial.appending(name).text
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
    let isRenamed = partial.text.withCString { source in destination.text.withCString { rename(source, $0) } } == 0
    guard isRenamed else { throw destination.failure(errno, to: "create") }
    isPublished = true
    try FilePath(destination.directory).synchronize()
  }
}
