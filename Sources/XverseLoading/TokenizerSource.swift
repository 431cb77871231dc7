// TokenizerSource.swift -- where a model's tokenizer comes from.

import XverseCore
import XverseFormats
import XverseTokenizers

/// A tokenizer.json, or the metadata of a GGUF file.
package enum TokenizerSource {
  case json(MappedFile)
  case gguf(GGUFMetadata)

  /// What a directory has in place of a tokenizer.json when its model came from a GGUF file.
  static let metadataName = "tokenizer.gguf"

  /// The one that the options name, else tokenizer.json, else tokenizer.gguf, else the one in the metadata of the weights.
  ///
  /// - Parameter gguf: What describes the model; nil for config.json.
  init(
    _ location: CheckpointLocation, _ gguf: GGUFDescription?, _ options: ModelOptions, _ allocator: MemoryAllocator
  ) throws(XverseError) {
    let name = "tokenizer.json"
    if let path = options.tokenizerPath {
      try self.init(path: path, allocator: allocator)
    } else if try !location.hasCompanion(name), let metadata = try Self.metadata(location, gguf, allocator) {
      self = .gguf(metadata)
    } else {
      self = .json(
        try location.requiredCompanion(name, maximumLength: ModelDescription.tokenizerLimit, allocator: allocator))
    }
  }

  private static func metadata(
    _ location: CheckpointLocation, _ gguf: GGUFDescription?, _ allocator: MemoryAllocator
  ) throws(XverseError) -> GGUFMetadata? {
    if let gguf { return gguf.metadata }
    guard try location.hasCompanion(metadataName) else { return nil }
    return try GGUFDescription(companion: metadataName, of: location, allocator: allocator).metadata
  }

  /// The tokenizer of the model at `location`.
  package init(
    _ location: CheckpointLocation, options: ModelOptions, allocator: MemoryAllocator
  ) throws(XverseError) {
    let gguf = location.isGGUF ? try GGUFDescription(location, allocator: allocator) : nil
    try self.init(location, gguf, options, allocator)
  }

  /// - Parameter path: A tokenizer.json, the directory that holds one, or a GGUF file of whatever name.
  init(path: some PathName, allocator: MemoryAllocator) throws(XverseError) {
    let path = try FilePath(path)
    if try WeightsFormat(contentsOf: path) == .gguf {
      self = .gguf(try GGUFDescription(CheckpointLocation(path: path), allocator: allocator).metadata)
      return
    }
    self = .json(
      try MappedFile(
        modelFile: path.kind() == .directory ? path.appending("tokenizer.json") : path, allocator: allocator,
        maximumLength: ModelDescription.tokenizerLimit))
  }

  func tokenizer(_ allocator: MemoryAllocator) throws(XverseError) -> Tokenizer {
    switch self {
    case .json(let file): try Tokenizer(json: file.bytes, source: file.name, allocator: allocator)
    case .gguf(let metadata): try Tokenizer(metadata.tokenizer(allocator: allocator), allocator: allocator)
    }
  }

  /// The file that a directory has of this tokenizer.
  package func file(_ allocator: MemoryAllocator) throws(XverseError) -> TokenizerFileContent {
    switch self {
    case .json(let file): return TokenizerFileContent(file)
    case .gguf(let metadata):
      let pairs = metadata.values(withPrefix: "tokenizer.").map { ($0.key, GGUFOutputValue.copy($0.value)) }
      return TokenizerFileContent(
        try GGUFWriter.header(of: pairs, [], allocator: allocator), name: Self.metadataName)
    }
  }
}

/// A small file in memory.
package final class TokenizerFileContent {
  package let name: String
  /// Valid as long as the object.
  package var bytes: UnsafeRawBufferPointer { file?.bytes ?? UnsafeRawBufferPointer(made.elements) }
  private let file: MappedFile?
  private let made: Buffer<UInt8>

  fileprivate init(_ file: MappedFile) {
    name = "tokenizer.json"
    self.file = file
    made = Buffer()
  }

  fileprivate init(_ bytes: consuming Buffer<UInt8>, name: String) {
    self.name = name
    file = nil
    made = bytes
  }
}
