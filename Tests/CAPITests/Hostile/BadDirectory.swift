// BadDirectory.swift -- one row of the table of bad model directories; each group of rows is a file of its own.

import CXverse
import Foundation
import Testing

/// A way to spoil a model directory, with the status and the words of the error that must follow.
struct BadDirectory: Sendable, CustomTestStringConvertible {
  let name: String
  /// XVERSE_OK for what only looks bad.
  let status: Int
  let words: [String]
  /// Whether only xverse_model_load looks this closely.
  var isFoundByLoadAlone = false
  /// Whether it opens, and the generation that needs what is bad fails.
  var isFoundByGenerationAlone = false
  /// Of kind MODEL, for the load.
  var options = "{}"
  let spoil: @Sendable (ModelDirectory) throws -> Void

  var testDescription: String { name }

  static let all = files + configurations + safetensors + shards + pytorch + gguf + weights + gptq + tokenizers
}

extension ModelDirectory {
  /// Makes a file longer, or makes a long one: zeros that take no room on the disk.
  func extend(_ name: String, to length: Int) throws {
    if !FileManager.default.fileExists(atPath: file(name)) { try write(name, []) }
    try #require(truncate(file(name), length) == 0)
  }

  /// What the files take up, which is less than their length when they have holes.
  var bytesOnDisk: Int64 {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.reduce(0) { sum, name in
      var status = stat()
      return lstat(file(name), &status) == 0 ? sum + Int64(status.st_blocks) * 512 : sum
    }
  }

  func replace(_ name: String, _ make: (_ path: String) -> Int32) throws {
    try remove(name)
    try #require(make(file(name)) == 0)
  }
}
