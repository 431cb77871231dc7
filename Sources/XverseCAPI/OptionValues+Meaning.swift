// OptionValues+Meaning.swift -- what option values mean to the runtime.

import CXverse
import XverseCore
import XverseFormats
import XverseModels
import XverseQuantization
import XverseRuntime
import XverseTensors

/// The values behind a handle of the right kind; nil for NULL, which stands for the defaults.
func optionValues(
  _ handle: OpaquePointer?, _ kind: OptionKind, _ name: StaticString = "options"
) throws(XverseError) -> OptionValues? {
  guard handle != nil else { return nil }
  let options = try borrow(handle, as: OptionsHandle.self, name)
  let values = try options.reading(name) { options.values }
  guard values.kind == kind else {
    throw .invalid("\(name) is of kind \(values.kind.name), expected \(kind.name)")
  }
  return values
}

extension OptionValues {
  static func instructionSet(_ values: OptionValues?) -> Kernels.InstructionSet? {
    values?.string("isa").flatMap { name in Kernels.InstructionSet.allCases.first { $0.name == name } }
  }

  static func modelOptions(_ values: OptionValues?) -> ModelOptions {
    var options = ModelOptions()
    guard let values else { return options }
    if values.string("load") == "read" { options.mode = .read }
    options.verifiesValues = values.string("verify") == "values"
    options.vocabularyOnly = values.flag("vocab_only") ?? false
    options.tokenizerPath = values.string("tokenizer")
    options.ropeTheta = values.float("rope_theta")
    options.ropeScaling = values.string("rope_scaling").flatMap(ropeScaling)
    return options
  }

  /// What `quantize` and `calibration` ask for; nil for nothing.
  static func quantization(
    _ values: OptionValues?, _ runtime: Runtime, _ cancellation: Cancellation?, _ reporter: ProgressReporter
  ) throws(XverseError) -> LoadedModel.Conversion? {
    let calibration = values?.string("calibration")
    guard let scheme = values?.string("quantize").flatMap(QuantizationScheme.init) else {
      guard calibration == nil else { throw .invalid("calibration is set, expected quantize=int8 or int4 with it") }
      return nil
    }
    func context(_ phase: StaticString) -> ComputeContext {
      ComputeContext(
        kernels: runtime.kernels, allocator: runtime.allocator, executor: runtime.onComputeThread,
        cancellation: cancellation
      ) { (done, total) throws(XverseError) in try reporter.report(phase, done, total) }
    }
    guard let calibration else {
      return { (model, _) throws(XverseError) in try RoundToNearest(scheme, context("quantize")).quantize(model) }
    }
    let text = try MappedFile(
      path: calibration, mode: .read, allocator: runtime.allocator, maximumLength: calibrationLimit)
    return { (model, tokenizer) throws(XverseError) in
      var tokens = Buffer<Int32>(allocator: runtime.allocator)
      try tokenizer.encode(text.bytes, parsingSpecials: false, into: &tokens)
      return try Calibration(scheme, context("calibrate")).quantize(model, on: tokens.elements)
    }
  }

  /// Most bytes of a calibration text: many times what is used of it.
  private static let calibrationLimit = 64 << 20

  private static func ropeScaling(_ text: String) -> ModelConfiguration.RoPEScaling? {
    let parts = text.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, let factor = ScalingFactor(parts[1])?.value else {
      return ModelConfiguration.RoPEScaling.none
    }
    return parts[0] == "linear" ? .linear(factor: factor) : .dynamic(factor: factor)
  }

  static func session(_ values: OptionValues?, _ model: LoadedModel) throws(XverseError) -> Session {
    try Session(
      model, context: values?.int("context").map(Int.init),
      cacheElement: values?.string("kv_type").flatMap(KVElement.init) ?? .float32,
      overflow: values?.string("overflow").flatMap(Session.Overflow.init) ?? .error)
  }

  /// What a model and a session of these options would take.
  static func estimation(
    model: OptionValues?, session: OptionValues?
  ) throws(XverseError) -> MemoryEstimation {
    let scheme = model?.string("quantize").flatMap(QuantizationScheme.init)
    return MemoryEstimation(
      options: modelOptions(model),
      quantizedTypes: scheme.map { ($0.dtype(for: .projection), $0.dtype(for: .embeddingOrHead)) },
      context: session?.int("context").map(Int.init),
      cacheElement: session?.string("kv_type").flatMap(KVElement.init) ?? .float32,
      kernels: try Kernels(threadCount: DefaultRuntime.threadCount() ?? Kernels.processorCount))
  }

  static func perplexityOptions(_ values: OptionValues?) -> PerplexityOptions {
    var options = PerplexityOptions()
    options.context = values?.int("context").map(Int.init)
    options.beginsWithBOS = values?.flag("bos") ?? false
    options.maximumWindows = values?.int("windows").map(Int.init) ?? 0
    return options
  }

  /// A model's defaults under what the values set.
  static func generationOptions(_ values: OptionValues?, _ model: LoadedModel) throws(XverseError) -> GenerationOptions
  {
    var options = GenerationOptions(model.generationDefaults)
    guard let values else { return options }
    values.applySampling(to: &options.sampling)
    if let value = values.int("max_new_tokens") { options.maximumNewTokens = Int(value) }
    if let value = values.stops { options.stops = value }
    if let value = values.flag("ignore_eos") { options.ignoresEOS = value }
    if let value = values.flag("logprobs") { options.wantsLogprobs = value }
    if let value = values.int("deadline_ms") { options.deadline = value }
    try options.sampling.validate(vocabularySize: model.configuration.vocabularySize)
    return options
  }

  private func applySampling(to parameters: inout SamplingParameters) {
    if let value = float("temperature") {
      parameters.temperature = Float(value)
      parameters.doSample = value > 0
    }
    if let value = flag("do_sample") { parameters.doSample = value }
    if let value = int("top_k") { parameters.topK = Int(value) }
    if let value = float("top_p") { parameters.topP = Float(value) }
    if let value = float("min_p") { parameters.minP = Float(value) }
    if let value = float("typical_p") { parameters.typicalP = Float(value) }
    if let value = float("repetition_penalty") { parameters.repetitionPenalty = Float(value) }
    if let value = int("repeat_last_n") { parameters.repeatLastN = Int(value) }
    if let value = float("frequency_penalty") { parameters.frequencyPenalty = Float(value) }
    if let value = float("presence_penalty") { parameters.presencePenalty = Float(value) }
    if let value = int("seed") { parameters.seed = value < 0 ? nil : UInt64(value) }
    if let value = biases { parameters.logitBias = value }
  }
}
