// CheckpointLocation.swift -- where a checkpoint is: its directory, the files beside the weights, and the weights.

import Glibc
import XverseCore

/// A checkpoint that was found but not opened, so that config.json can be read before any weight is looked at.
package struct CheckpointLocation: Sendable {
  /// The files that hold the weights, by their names in the directory.
  enum Weights {
    case single(FilePath, WeightsFormat)
    /// Parts that a name tells, the first one first.
    case split([FilePath], WeightsFormat)
    case sharded(index: String, WeightsFormat)
  }

  /// Most entries of a directory that are looked at for an explanation of what is missing.
  private static let maximumEntryCount = 10_000
  /// What the caller should have named.
  private static let expectation: String = {
    let suffixes = WeightsFormat.searchOrder.map(\.suffix)
    let list = suffixes.dropLast().joined(separator: ", ") + " or " + (suffixes.last ?? "")
    return "a \(list) file or a Hugging Face model directory"
  }()

  package let files: FileDirectory
  /// The weights' file, when the path named one, or a directory has one that brings everything with it.
  private let weights: (name: FilePath, format: WeightsFormat)?

  /// The place in messages.
  package var directory: String { files.name }

  /// Whether the model is described by the metadata of its weights, not by config.json.
  package var isGGUF: Bool { weights?.format == .gguf }

  /// - Parameter path: A Hugging Face directory, one with a single GGUF file, or a file of whatever name: safetensors or
  ///   torch.save's with its companions beside it, or GGUF.
  /// - Throws: `notFound`, also for a directory without config.json; `unsupported` for what is neither, and for weights
  ///   in another format; `corrupt` for an empty file; `invalid`, `io`.
  package init(path: some PathName) throws(XverseError) {
    let place = try FilePath(path)
    switch try place.kind() {
    case .directory:
      files = .path(place)
      let gguf = try Self.onlyGGUF(in: place)
      weights = gguf.map { ($0, .gguf) }
      let isDescribed = try gguf == nil ? files.contains("config.json") : true
      guard isDescribed else {
        throw try explanation("there is no config.json", expected: "a Hugging Face model directory")
      }
    case .regularFile:
      files = .path(place.directory)
      let beginning = try FileBeginning(of: files.open(place.name))
      // The name says what a file that is none of these should have been.
      guard let format = beginning.format ?? WeightsFormat(fileName: place.name) else {
        throw .unsupported("\(place.inMessage): expected \(Self.expectation)")
      }
      weights = (place.name, format)
    case .other(let words):
      throw place.notAFile(.other(words), expected: Self.expectation)
    }
  }

  /// The checkpoint whose files the host hands out under the names they have in a directory.
  package init(_ host: HostFiles) {
    files = .host(host)
    let gguf = try? FilePath(WeightsFormat.hostName)
    let isGGUF = (try? files.contains(WeightsFormat.hostName)) == true && (try? files.contains("config.json")) != true
    weights = isGGUF ? gguf.map { ($0, .gguf) } : nil
  }

  /// Whether a file stands beside the weights.
  package func hasCompanion(_ name: String) throws(XverseError) -> Bool { try files.contains(name) }

  /// Reads a file that stands beside the weights; nil when there is none.
  ///
  /// The bytes are always read, never mapped: a text that changes under its parser would be trouble.
  package func companion(
    _ name: String, maximumLength: Int, allocator: MemoryAllocator = .system
  ) throws(XverseError) -> MappedFile? {
    guard try files.contains(name) else { return nil }
    let file = try files.open(name, maximumLength: maximumLength)
    return try MappedFile(file, mode: .read, allocator: allocator) { (_) throws(XverseError) in }
  }

  /// Reads a file that must stand beside the weights.
  package func requiredCompanion(
    _ name: String, maximumLength: Int, allocator: MemoryAllocator = .system
  ) throws(XverseError) -> MappedFile {
    if let file = try companion(name, maximumLength: maximumLength, allocator: allocator) { return file }
    throw .notFound("\(directory.inMessage): there is no \(name), expected a Hugging Face model directory")
  }

  /// The weights, searched in the order of Hugging Face's loader: one file goes before an index of shards.
  func locateWeights() throws(XverseError) -> Weights {
    if let weights {
      guard weights.format == .gguf, let split = try GGUFSplitName(weights.name, in: directory) else {
        return .single(weights.name, weights.format)
      }
      return .split(try split.allNames(), .gguf)
    }
    for format in WeightsFormat.searchOrder {
      if let name = format.singleName, try files.contains(name) { return .single(try FilePath(name), format) }
      if let name = format.indexName, try files.contains(name) { return .sharded(index: name, format) }
    }
    throw try explanation("there are no weights", expected: Self.weightNames)
  }

  /// The names under which weights are looked for, in words.
  private static var weightNames: String {
    WeightsFormat.searchOrder.flatMap { [$0.singleName, $0.indexName].compactMap(\.self) }.joined(separator: " or ")
  }

  /// The error for a directory that lacks something: weights in another format explain it better than their absence.
  private func explanation(_ fault: String, expected: String) throws(XverseError) -> XverseError {
    if case .path(let place) = files, let other = try foreignWeights(in: place) {
      return .unsupported(
        "\(place.inMessage): the weights are in '\(other.inMessage)', expected \(Self.weightNames)")
    }
    return .notFound("\(directory.inMessage): \(fault), expected \(expected)")
  }

  /// The first name, in alphabetical order, of a file with weights in a format that is not read, unless there is one in
  /// a format that is.
  private func foreignWeights(in place: FilePath) throws(XverseError) -> FilePath? {
    for format in WeightsFormat.searchOrder {
      for name in [format.singleName, format.indexName] {
        if let name, try files.contains(name) { return nil }
      }
    }
    return try Self.names(in: place) { $0.bytes.starts(with: "pytorch_model".utf8) && $0.hasSuffix(".bin") }.first
  }

  /// The GGUF file of a directory that is none of Hugging Face's; nil when there is none.
  ///
  /// - Throws: `invalid` when there are several.
  private static func onlyGGUF(in place: FilePath) throws(XverseError) -> FilePath? {
    if try place.appending("config.json").exists() {
      for name in WeightsFormat.searchOrder.flatMap({ [$0.singleName, $0.indexName] }) {
        if let name, try place.appending(name).exists() { return nil }
      }
    }
    let found = try names(in: place) { $0.hasSuffix(WeightsFormat.gguf.suffix) && !GGUFSplitName.isLaterPart($0) }
    guard let second = found.dropFirst().first else { return found.first }
    throw .invalid(
      "\(place.inMessage): there are several .gguf files, '\(found[0].inMessage)' and '\(second.inMessage)' among them, "
        + "expected the path of one of them")
  }

  /// The names in a directory that match, in alphabetical order.
  private static func names(
    in place: FilePath, where matches: (FilePath) -> Bool
  ) throws(XverseError) -> [FilePath] {
    guard let stream = place.withCString({ opendir($0) }) else { throw place.failure(errno, to: "list") }
    defer { closedir(stream) }
    var found: [FilePath] = []
    for _ in 0..<maximumEntryCount {
      guard let entry = readdir(stream) else { break }
      let name = try FilePath(bytes: withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) })
      if matches(name) { found.append(name) }
    }
    return found.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
  }
}
