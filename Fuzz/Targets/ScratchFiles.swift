// ScratchFiles.swift -- a directory for readers that want files by their paths.

import Glibc

/// A directory with a few files, gone with the object.
final class ScratchFiles {
  let path: String
  private var names: [String] = []

  init() throws {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array((parent + "/xverse-fuzz-XXXXXX").utf8CString)
    guard let made = mkdtemp(&template) else { throw Violation("\(parent): no directory can be made") }
    path = String(cString: made)
  }

  deinit {
    for name in names { unlink(path + "/" + name) }
    rmdir(path)
  }

  /// Writes a file and returns its path.
  @discardableResult
  func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws -> String {
    let file = path + "/" + name
    let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Violation("\(file): cannot be written") }
    defer { close(descriptor) }
    if !names.contains(name) { names.append(name) }
    guard bytes.isEmpty || Glibc.write(descriptor, bytes.baseAddress, bytes.count) == bytes.count else {
      throw Violation("\(file): \(bytes.count) bytes cannot be written")
    }
    return file
  }

  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String { try bytes.withUnsafeBytes { try write(name, $0) } }
}
