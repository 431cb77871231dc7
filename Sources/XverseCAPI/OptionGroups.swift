// OptionGroups.swift -- the structs that hold the values of options; a new one holds the defaults.

import XverseConversion
import XverseCore
import XverseLoading
import XverseRuntime
import XverseTensors

/// Options of kind RUNTIME.
struct RuntimeOptions: OptionGroup {
  static let kind = OptionKind.runtime

  /// nil: XVERSE_NUM_THREADS, else the CPUs that the process may use.
  var threadCount: Int?
  /// nil: XVERSE_THREADING, else what is safe.
  var threading: Kernels.Threading?
  /// Bytes; 0: no limit.
  var memoryLimit = 0
  /// nil: the fastest of this CPU.
  var instructionSet: Kernels.InstructionSet?
}

/// Options of a kind that says how a model is read.
protocol ModelReading: OptionGroup {
  var model: ModelOptions { get set }
  var quantization: Quantization { get set }
}

/// Options of kind MODEL.
struct LoadOptions: ModelReading {
  static let kind = OptionKind.model

  var model = ModelOptions()
  var quantization = Quantization()
  /// Bytes; 0: sessions share nothing but what `fork` shares.
  var prefixCacheLimit = 1 << 30
}

/// Options of kind SESSION.
struct SessionOptions: OptionGroup {
  static let kind = OptionKind.session

  /// Tokens; nil: the model's `n_ctx_train`.
  var context: Int?
  var cacheElement = KVElement.float32
  var overflow = Session.Overflow.error
}

/// Options of kind SAMPLING.
struct SamplingOptions: OptionGroup {
  static let kind = OptionKind.sampling

  /// All but the members below.
  var generation = GenerationOptions()
  /// nil: true when `temperature` is above 0; when that is nil too, the model's.
  var doSample: Bool?
  /// nil: the model's.
  var temperature: Double?
  /// -1: from the system.
  var seed: Int64 = -1
}

extension SchedulerSettings: OptionGroup {
  static let kind = OptionKind.scheduler
}

extension ConversionOptions: ModelReading {
  static let kind = OptionKind.convert
}

extension PerplexityOptions: OptionGroup {
  static let kind = OptionKind.score
}
