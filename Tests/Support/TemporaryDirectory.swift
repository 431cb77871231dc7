// TemporaryDirectory.swift -- files that a test writes, gone when the test ends.

import Foundation

/// A directory of its own, removed with everything in it when the last reference goes.
package final class TemporaryDirectory {
  package let path: String

  package init() throws {
    path = NSTemporaryDirectory() + "/xverse-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file and returns its path.
  @discardableResult
  package func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let file = path + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }

  @discardableResult
  package func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }
}
