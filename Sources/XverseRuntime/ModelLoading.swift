// ModelLoading.swift -- the order in which a model's files are read: what explains an error best comes first.

import XverseCore
import XverseFormats
import XverseModels
import XverseTensors
import XverseTokenizers

/// How to load a model.
package struct ModelOptions: Sendable {
  package var mode = MappedFile.Mode.map
  package var verifiesValues = false
  package var vocabularyOnly = false
  package var ropeTheta: Double?
  package var ropeScaling: ModelConfiguration.RoPEScaling?

  package init() {}
}

/// The small files of a model directory.
struct ModelDescription {
  /// Most bytes of config.json and generation_config.json, and of tokenizer.json.
  private static let configurationLimit = 1 << 20
  static let tokenizerLimit = 256 << 20

  let location: CheckpointLocation
  let configuration: ModelConfiguration
  let generationDefaults: GenerationDefaults
  let tokenizer: Tokenizer

  init(path: String, options: ModelOptions, allocator: MemoryAllocator) throws(XverseError) {
    location = try CheckpointLocation(path: path)
    configuration = try Self.configuration(location, options, allocator)
    generationDefaults = try Self.generationDefaults(location, configuration, allocator)
    let tokenizerFile = try location.requiredCompanion(
      "tokenizer.json", maximumLength: Self.tokenizerLimit, allocator: allocator)
    tokenizer = try Tokenizer(json: tokenizerFile.bytes, source: tokenizerFile.name, allocator: allocator)
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw .corrupt(
        "tokenizer.json: the highest token id is \(tokenizer.vocabularySize - 1), expected below 'vocab_size' "
          + "\(configuration.vocabularySize) of config.json")
    }
  }

  /// config.json, with what the caller overrides.
  static func configuration(
    _ location: CheckpointLocation, _ options: ModelOptions, _ allocator: MemoryAllocator
  ) throws(XverseError) -> ModelConfiguration {
    let file = try location.requiredCompanion(
      "config.json", maximumLength: configurationLimit, allocator: allocator)
    var configuration = try ModelConfiguration(
      json: JSONDocument(file.bytes, owner: file, source: file.name, allocator: allocator))
    if let ropeTheta = options.ropeTheta { configuration.ropeTheta = ropeTheta }
    if let ropeScaling = options.ropeScaling { configuration.ropeScaling = ropeScaling }
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
      json: JSONDocument(file.bytes, owner: file, source: file.name, allocator: allocator),
      vocabularySize: configuration.vocabularySize)
  }
}

extension LoadedModel {
  /// Makes another model of the one in the files, which may be quantized, say.
  package typealias Conversion = (_ model: XverseModel, _ tokenizer: Tokenizer) throws(XverseError) -> XverseModel

  /// Called before each file and tensor with bytes done of total; throws to end the loading.
  package typealias Progress = (_ phase: StaticString, _ done: Int, _ total: Int) throws(XverseError) -> Void

  /// Loads the model at `path`: a Hugging Face directory or one .safetensors file beside its companions.
  ///
  /// - Throws: What the file readers throw, naming file and field or tensor; what `progress` throws.
  package convenience init(
    path: String, options: ModelOptions, runtime: Runtime, conversion: Conversion? = nil, progress: Progress
  ) throws(XverseError) {
    let allocator = runtime.allocator
    try progress("load", 0, 0)
    let description = try ModelDescription(path: path, options: options, allocator: allocator)
    var network: XverseModel?
    var weightBytes = 0
    if !options.vocabularyOnly {
      let checkpoint = try Checkpoint(description.location, mode: options.mode, allocator: allocator) {
        (done, total) throws(XverseError) in try progress("load", done, total)
      }
      weightBytes = checkpoint.byteCount
      let model = try XverseModel(
        description.configuration, checkpoint: checkpoint, kernels: runtime.kernels.serial, allocator: allocator)
      if options.verifiesValues {
        try model.verifyValues(of: checkpoint) { (done, total) throws(XverseError) in
          try progress("verify", done, total)
        }
      }
      for name in checkpoint.tensorNames
      where !WeightNames.isUsed(name, by: description.configuration) && !WeightNames.isIgnored(name) {
        runtime.log(
          .warning, "\(checkpoint.directory): tensor '\(name)' is not part of this architecture and is ignored")
      }
      try progress("load", weightBytes, weightBytes)
      network = model
      if let conversion {
        let converted = try conversion(model, description.tokenizer)
        weightBytes = converted.weightBytes
        network = converted
      }
    }
    self.init(
      runtime: runtime, name: Self.name(of: path), configuration: description.configuration,
      tokenizer: description.tokenizer, generationDefaults: description.generationDefaults, network: network,
      weightBytes: weightBytes)
    runtime.log(.info, "loaded '\(name)': \(configuration.parameterCount) parameters, \(weightBytes) bytes of weights")
  }

  /// The last component of a path that is not "/" or empty.
  static func name(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}
