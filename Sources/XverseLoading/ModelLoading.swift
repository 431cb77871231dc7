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
  /// A tokenizer.json, its directory or a GGUF file, in place of the model's own.
  package var tokenizerPath: [UInt8]?
  package var ropeTheta: Double?
  package var ropeScaling: ModelConfiguration.RoPEScaling?

  package init() {}
}

extension LoadedModel {
  /// Makes another model of the one in the files, which may be quantized, say.
  package typealias Conversion = (_ model: XverseModel, _ tokenizer: Tokenizer) throws(XverseError) -> XverseModel

  /// Where a model's files are.
  package enum Origin {
    /// A Hugging Face directory, a file with weights beside its companions, or a GGUF file.
    case path(FilePath)
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
  /// - Parameter context: Reports the phases "load", "import" and "verify" with bytes done of total, before each file and
  ///   tensor. Its log receives what is odd about the files.
  /// - Throws: What the file readers throw, naming file and field or tensor; what the context's progress throws.
  package convenience init(
    _ origin: Origin, options: ModelOptions, _ context: ComputeContext, conversion: Conversion? = nil
  ) throws(XverseError) {
    let load = context.phase("load")
    try load.progress(0, 0)
    let description = try ModelDescription(origin.location(), options: options, allocator: context.allocator)
    for warning in description.warnings { context.log(.warning, warning) }
    var model: XverseModel?
    var weightBytes = 0
    if !options.vocabularyOnly {
      let checkpoint = try Checkpoint(ofModelAt: description.location, mode: options.mode, allocator: context.allocator)
      {
        (done, total) throws(XverseError) in try load.progress(done, total)
      }
      for warning in checkpoint.warnings { context.log(.warning, warning) }
      let stored = try Self.weights(of: description, in: checkpoint, options, context)
      weightBytes = stored.byteCount
      try load.progress(weightBytes, weightBytes)
      model = stored.model
      if let conversion {
        let converted = try conversion(stored.model, description.tokenizer)
        weightBytes = converted.weightBytes
        model = converted
      }
    }
    self.init(
      name: origin.name, configuration: description.configuration, tokenizer: description.tokenizer,
      generationDefaults: description.generationDefaults, model: model, weightBytes: weightBytes)
    context.log(
      .info,
      "loaded '\(name.inMessage)': \(configuration.parameterCount) parameters, \(weightBytes) bytes of weights")
  }

  /// The model in `checkpoint` as it stands there, and the bytes of its weights.
  private static func weights(
    of description: ModelDescription, in checkpoint: Checkpoint, _ options: ModelOptions, _ context: ComputeContext
  ) throws(XverseError) -> (model: XverseModel, byteCount: Int) {
    let importer = WeightImporter(context.phase("import"))
    let model = try XverseModel(description.configuration, checkpoint: checkpoint, importer: importer)
    if importer.requantizedCount > 0 {
      context.log(
        .warning,
        "\(checkpoint.directory): \(importer.requantizedCount) matrices fit in none of the types that weights are "
          + "kept in and were rounded to int8, 8.5 bits a weight")
    }
    if options.verifiesValues {
      let verify = context.phase("verify")
      try model.verifyValues(of: checkpoint, kernels: context.kernels.serial) { (done, total) throws(XverseError) in
        try verify.progress(done, total)
      }
    }
    for name in checkpoint.tensorNames
    where !WeightNames.isUsed(name, in: checkpoint.format, by: description.configuration)
      && !WeightNames.isIgnored(name)
    {
      context.log(
        .warning,
        "\(checkpoint.directory.inMessage): tensor '\(name.inMessage)' is not part of this architecture and is ignored")
    }
    return (model, importer.importedBytes > 0 ? model.weightBytes : checkpoint.byteCount)
  }
}

extension LoadedModel.Origin {
  /// What the model is called: the last component of its path.
  var name: String {
    switch self {
    case .path(let path): path.name.text
    case .host: "source"
    }
  }
}
