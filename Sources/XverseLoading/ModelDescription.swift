// ModelDescription.swift -- what the small files of a model say, or the metadata of a GGUF file in their place.

import XverseCore
import XverseFormats
import XverseModels
import XverseTokenizers

/// Configuration, defaults and tokenizer of a model whose weights have not been looked at.
struct ModelDescription {
  /// Most bytes of config.json and generation_config.json, and of tokenizer.json.
  private static let configurationLimit = 1 << 20
  static let tokenizerLimit = 256 << 20

  let location: CheckpointLocation
  let configuration: ModelConfiguration
  let generationDefaults: GenerationDefaults
  let tokenizer: Tokenizer
  /// Sentences for people about what is odd and keeps no model from being opened.
  private(set) var warnings: [String]

  init(_ location: CheckpointLocation, options: ModelOptions, allocator: MemoryAllocator) throws(XverseError) {
    self.location = location
    let gguf = location.isGGUF ? try GGUFDescription(location, allocator: allocator) : nil
    configuration = try Self.configuration(location, gguf, options, allocator)
    generationDefaults = try Self.generationDefaults(location, configuration, allocator)
    tokenizer = try TokenizerSource(location, gguf, options, allocator).tokenizer(allocator)
    warnings = configuration.warnings + generationDefaults.warnings + tokenizer.warnings
    if tokenizer.vocabularySize > configuration.vocabularySize {
      warnings.append(
        "\(gguf?.metadata.source ?? "tokenizer.json"): the highest token id is \(tokenizer.vocabularySize - 1), expected "
          + "below 'vocab_size' \(configuration.vocabularySize) of \(gguf?.metadata.source ?? "config.json"): a text with "
          + "a token beyond it cannot be evaluated")
    }
  }

  /// What config.json or the metadata say, with what the caller overrides.
  static func configuration(
    _ location: CheckpointLocation, _ gguf: GGUFDescription?, _ options: ModelOptions, _ allocator: MemoryAllocator
  ) throws(XverseError) -> ModelConfiguration {
    var configuration =
      if let gguf {
        try ModelConfiguration(gguf: gguf)
      } else {
        try configuration(location, allocator)
      }
    if let ropeTheta = options.ropeTheta { configuration.ropeTheta = ropeTheta }
    if let ropeScaling = options.ropeScaling { configuration.ropeScaling = ropeScaling }
    return configuration
  }

  private static func configuration(
    _ location: CheckpointLocation, _ allocator: MemoryAllocator
  ) throws(XverseError) -> ModelConfiguration {
    let file = try location.requiredCompanion(
      "config.json", maximumLength: configurationLimit, allocator: allocator)
    var configuration = try ModelConfiguration(
      json: JSONDocument(file.bytes, owner: file, source: file.name, dialect: .python, allocator: allocator))
    // Where the fields stood before config.json had a place for them.
    if configuration.gptq == nil,
      let file = try location.companion(
        GPTQParameters.fileName, maximumLength: configurationLimit, allocator: allocator)
    {
      let document = try JSONDocument(
        file.bytes, owner: file, source: file.name, dialect: .python, allocator: allocator)
      configuration.gptq = try GPTQParameters(JSONFields(document.root))
    }
    return configuration
  }

  /// generation_config.json; nothing when there is none.
  static func generationDefaults(
    _ location: CheckpointLocation, _ configuration: ModelConfiguration, _ allocator: MemoryAllocator
  ) throws(XverseError) -> GenerationDefaults {
    guard
      let file = try location.companion(
        "generation_config.json", maximumLength: configurationLimit, allocator: allocator)
    else { return GenerationDefaults() }
    return try GenerationDefaults(
      json: JSONDocument(file.bytes, owner: file, source: file.name, dialect: .python, allocator: allocator),
      vocabularySize: configuration.vocabularySize)
  }
}
