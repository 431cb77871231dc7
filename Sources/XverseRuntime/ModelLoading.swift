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
  /// A tokenizer.json, its directory or a .gguf file, in place of the model's own.
  package var tokenizerPath: String?
  package var ropeTheta: Double?
  package var ropeScaling: ModelConfiguration.RoPEScaling?

  package init() {}
}

extension LoadedModel {
  /// Makes another model of the one in the files, which may be quantized, say.
  package typealias Conversion = (_ model: XverseModel, _ tokenizer: Tokenizer) throws(XverseError) -> XverseModel

  /// Called before each file and tensor with bytes done of total; throws to end the loading.
  package typealias Progress = (_ phase: StaticString, _ done: Int, _ total: Int) throws(XverseError) -> Void

  /// Where a model's files are.
  package enum Origin {
    /// A Hugging Face directory, a file with weights beside its companions, or a GGUF file.
    case path(String)
    /// Files by the names they have in such a directory, read with the host's functions.
    case host(HostFiles)

    func location() throws(XverseError) -> CheckpointLocation {
      switch self {
      case .path(let path): try CheckpointLocation(path: path)
      case .host(let files): CheckpointLocation(files)
      }
    }
  }

  /// Loads the model at `origin`.
  ///
  /// - Throws: What the file readers throw, naming file and field or tensor; what `progress` throws.
  package convenience init(
    _ origin: Origin, options: ModelOptions, runtime: Runtime, conversion: Conversion? = nil,
    cancellation: Cancellation? = nil, progress: @escaping Progress
  ) throws(XverseError) {
    let allocator = runtime.allocator
    try progress("load", 0, 0)
    let description = try ModelDescription(origin.location(), options: options, allocator: allocator)
    if let doubt = description.tokenizer.doubt { runtime.log(.warning, doubt) }
    var network: XverseModel?
    var weightBytes = 0
    if !options.vocabularyOnly {
      let checkpoint = try Checkpoint(description.location, mode: options.mode, allocator: allocator) {
        (done, total) throws(XverseError) in try progress("load", done, total)
      }
      weightBytes = checkpoint.byteCount
      let importer = WeightImporter(
        ComputeContext(
          kernels: runtime.kernels, allocator: allocator, executor: runtime.onComputeThread, cancellation: cancellation
        ) { (done, total) throws(XverseError) in try progress("import", done, total) })
      let model = try XverseModel(description.configuration, checkpoint: checkpoint, importer: importer)
      if importer.importedBytes > 0 { weightBytes = model.weightBytes }
      if importer.requantizedCount > 0 {
        runtime.log(
          .warning,
          "\(checkpoint.directory): \(importer.requantizedCount) matrices fit in none of the types that weights are "
            + "kept in and were rounded to int8, 8.5 bits a weight")
      }
      if options.verifiesValues {
        try model.verifyValues(of: checkpoint, kernels: runtime.kernels.serial) { (done, total) throws(XverseError) in
          try progress("verify", done, total)
        }
      }
      for name in checkpoint.tensorNames
      where !WeightNames.isUsed(name, in: checkpoint.format, by: description.configuration)
        && !WeightNames.isIgnored(name)
      {
        runtime.log(
          .warning,
          "\(checkpoint.directory.inMessage): tensor '\(name.inMessage)' is not part of this architecture and is ignored"
        )
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
      runtime: runtime, name: origin.name, configuration: description.configuration,
      tokenizer: description.tokenizer, generationDefaults: description.generationDefaults, network: network,
      weightBytes: weightBytes)
    runtime.log(
      .info,
      "loaded '\(name.inMessage)': \(configuration.parameterCount) parameters, \(weightBytes) bytes of weights")
  }
}

extension LoadedModel.Origin {
  /// What the model is called: the last component of its path.
  var name: String {
    switch self {
    case .path(let path): path.split(separator: "/").last.map(String.init) ?? path
    case .host: "source"
    }
  }
}
