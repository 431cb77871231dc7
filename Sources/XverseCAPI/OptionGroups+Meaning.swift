// OptionGroups+Meaning.swift -- what options mean to the library where that is more than the value of a member.

import XverseCore
import XverseLoading
import XverseRuntime
import XverseTensors

extension MemoryEstimation {
  /// What a model and a session of these options would take.
  init(_ load: LoadOptions, _ session: SessionOptions) throws(XverseError) {
    self.init(
      options: load.model,
      quantizedType: load.quantization.scheme.map { scheme in { scheme.dtype(for: $0) } },
      context: session.context, cacheElement: session.cacheElement,
      kernels: try Kernels(threadCount: DefaultRuntime.threadCount() ?? ProcessorLimits.current.threadCount))
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
  // All other values were checked when they were set, and the model's own are when they are used.
  try options.sampling.validateLogitBias(vocabularySize: model.configuration.vocabularySize)
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
