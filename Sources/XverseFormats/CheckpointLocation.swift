// CheckpointLocation.swift -- where a checkpoint is: its directory, the files beside the weights, and the weights.

import Glibc
import XverseCore

/// A checkpoint that was found but not opened, so that config.json can be read before any weight is looked at.
package struct CheckpointLocation: Sendable {
  /// The files that hold the weights, by their names in the directory.
  enum Weights {
    case single(String)
    case sharded(index: String)
  }

  private static let singleName = "model.safetensors"
  static let indexName = "model.safetensors.index.json"
  /// Most entries of a directory that are looked at for an explanation of what is missing.
  private static let maximumEntryCount = 10_000

  package let directory: String
  /// The weights' file, when the path named one.
  private let weightsName: String?

  /// - Parameter path: A Hugging Face directory, or one .safetensors file with its companions beside it.
  /// - Throws: `notFound`, also for a directory without config.json; `unsupported` for what is neither, and for weights
  ///   in another format; `corrupt` for an empty file; `invalid`, `io`.
  package init(path: String) throws(XverseError) {
    let place = try FilePath(path)
    switch try place.kind() {
    case .directory:
      directory = path
      weightsName = nil
      guard try place.appending("config.json").exists() else {
        throw try explanation("there is no config.json", expected: "a Hugging Face model directory")
      }
    case .regularFile:
      directory = place.directory
      weightsName = place.name
      guard place.name.hasSuffix(".safetensors") else {
        // An empty file is called empty, whatever its name.
        _ = try InputFile(path: path)
        throw .unsupported("\(place.inMessage): expected a .safetensors file or a Hugging Face model directory")
      }
    case .other(let words):
      throw place.notAFile(.other(words), expected: "a .safetensors file or a Hugging Face model directory")
    }
  }

  /// Reads a file that stands beside the weights; nil when there is none.
  ///
  /// The bytes are always read, never mapped: a text that changes under its parser would be trouble.
  package func companion(
    _ name: String, maximumLength: Int, allocator: MemoryAllocator = .system
  ) throws(XverseError) -> MappedFile? {
    let place = try FilePath(directory).appending(name)
    guard try place.exists() else { return nil }
    return try MappedFile(path: place.text, mode: .read, allocator: allocator, maximumLength: maximumLength)
  }

  /// Reads a file that must stand beside the weights.
  package func requiredCompanion(
    _ name: String, maximumLength: Int, allocator: MemoryAllocator = .system
  ) throws(XverseError) -> MappedFile {
    if let file = try companion(name, maximumLength: maximumLength, allocator: allocator) { return file }
    throw .notFound("\(directory.inMessage): there is no \(name), expected a Hugging Face model directory")
  }

  /// The weights, searched in the order of Hugging Face's loader: one file goes before an index of shards.
  func weights() throws(XverseError) -> Weights {
    if let weightsName { return .single(weightsName) }
    let place = try FilePath(directory)
    if try place.appending(Self.singleName).exists() { return .single(Self.singleName) }
    if try place.appending(Self.indexName).exists() { return .sharded(index: Self.indexName) }
    throw try explanation("there are no weights", expected: "\(Self.singleName) or \(Self.indexName)")
  }

  func path(of name: String) throws(XverseError) -> String { try FilePath(directory).appending(name).text }

  /// The error for a directory that lacks something: weights in another format explain it better than their absence.
  private func explanation(_ fault: String, expected: String) throws(XverseError) -> XverseError {
    let place = try FilePath(directory)
    let weights = "\(Self.singleName) or \(Self.indexName)"
    if !(try place.appending(Self.singleName).exists()), !(try place.appending(Self.indexName).exists()),
      let other = try foreignWeights(in: place)
    {
      return .unsupported("\(place.inMessage): the weights are in '\(other.inMessage)', expected \(weights)")
    }
    return .notFound("\(place.inMessage): \(fault), expected \(expected)")
  }

  /// The first name, in alphabetical order, of a file with weights in a format that is not read.
  private func foreignWeights(in place: FilePath) throws(XverseError) -> String? {
    guard let stream = place.text.withCString({ opendir($0) }) else { throw place.failure(errno, to: "list") }
    defer { closedir(stream) }
    var found: String?
    for _ in 0..<Self.maximumEntryCount {
      guard let entry = readdir(stream) else { break }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      let isForeign = name.hasSuffix(".gguf") || name.hasPrefix("pytorch_model") && name.hasSuffix(".bin")
      if isForeign, found.map({ name < $0 }) ?? true { found = name }
    }
    return found
  }
}
