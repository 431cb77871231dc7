// OptionGroups+Meaning.swift -- what options mean to the library where that is more than the value of a member.

import XverseCore
import XverseFormats
import XverseModels
import XverseQuantization
import XverseRuntime
import XverseTensors

extension QuantizationOptions {
  /// What is done to a model while it is loaded; nil for nothing.
  func conversion(
    _ runtime: Runtime, _ cancellation: Cancellation?, _ reporter: ProgressReporter
  ) throws(XverseError) -> LoadedModel.Conversion? {
    guard let scheme else {
      guard calibrationPath == nil else { throw .invalid("calibration is set, expected quantize=int8 or int4 with it") }
      return nil
    }
    func context(_ phase: StaticString) -> ComputeContext {
      ComputeContext(
        kernels: runtime.kernels, allocator: runtime.allocator, executor: runtime.onComputeThread,
        cancellation: cancellation
      ) { (done, total) throws(XverseError) in try reporter.report(phase, done, total) }
    }
    guard let calibrationPath else {
      return { (model, _) throws(XverseError) in try RoundToNearest(scheme, context("quantize")).quantize(model) }
    }
    let text = try MappedFile(
      path: calibrationPath, mode: .read, allocator: runtime.allocator, maximumLength: Self.calibrationLimit)
    return { (model, tokenizer) throws(XverseError) in
      var tokens = Buffer<Int32>(allocator: runtime.allocator)
      try tokenizer.encode(text.bytes, parsingSpecials: false, into: &tokens)
      return try Calibration(scheme, context("calibrate")).quantize(model, on: tokens.elements)
    }
  }

  /// Most bytes of a calibration text: many times what is used of it.
  private static let calibrationLimit = 64 << 20
}

extension MemoryEstimation {
  /// What a model and a session of these options would take.
  init(_ load: LoadOptions, _ session: SessionOptions) throws(XverseError) {
    self.init(
      options: load.model,
      quantizedTypes: load.quantization.scheme.map { ($0.dtype(for: .projection), $0.dtype(for: .embeddingOrHead)) },
      context: session.context, cacheElement: session.cacheElement,
      kernels: try Kernels(threadCount: DefaultRuntime.threadCount() ?? Kernels.processorCount))
  }
}

/// A model's defaults under the options behind a handle of kind SAMPLING; NULL for the defaults alone.
///
/// - Throws: Also `range` for a token of `logit_bias` outside the vocabulary.
func generationOptions(
  _ handle: OpaquePointer?, _ name: StaticString = "options", for model: LoadedModel
) throws(XverseError) -> GenerationOptions {
  let defaults = GenerationOptions(model.generationDefaults)
  guard handle != nil else { return defaults }
  let options = try optionValues(handle, name, over: SamplingOptions(generation: defaults)).resolved
  try options.sampling.validate(vocabularySize: model.configuration.vocabularySize)
  return options
}

extension SamplingOptions {
  /// The members that depend on each other or are more than a value, moved into `generation`.
  fileprivate var resolved: GenerationOptions {
    var options = generation
    if let temperature {
      options.sampling.temperature = Float(temperature)
      options.sampling.doSample = temperature > 0
    }
    if let doSample { options.sampling.doSample = doSample }
    if seed >= 0 { options.sampling.seed = UInt64(seed) }
    return options
  }
}
