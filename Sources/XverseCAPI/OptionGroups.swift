// OptionGroups.swift -- the structs that hold the values of options; a new one holds the defaults.

import XverseCore
import XverseFormats
import XverseModels
import XverseQuantization
import XverseRuntime
import XverseTensors

/// Options of kind RUNTIME.
struct RuntimeOptions: OptionGroup {
  static let kind = OptionKind.runtime

  /// nil: XVERSE_NUM_THREADS, else the CPUs that the process may use.
  var threadCount: Int?
  /// Bytes; 0: no limit.
  var memoryLimit = 0
  /// nil: the fastest of this CPU.
  var instructionSet: Kernels.InstructionSet?
}

/// How float weights are quantized.
struct QuantizationOptions {
  /// nil: not at all.
  var scheme: QuantizationScheme?
  /// A text to calibrate on.
  var calibrationPath: String?
}

/// Options of a kind that says how a model is read.
protocol ModelReading: OptionGroup {
  var model: ModelOptions { get set }
  var quantization: QuantizationOptions { get set }
}

/// Options of kind MODEL.
struct LoadOptions: ModelReading {
  static let kind = OptionKind.model

  var model = ModelOptions()
  var quantization = QuantizationOptions()
}

/// Options of kind SESSION.
struct SessionOptions: OptionGroup {
  static let kind = OptionKind.session

  /// Tokens; nil: the model's `n_ctx_train`.
  var context: Int?
  var cacheElement = KVBlocks.Element.float32
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

/// Options of kind CONVERT.
struct ConversionOptions: ModelReading {
  static let kind = OptionKind.convert

  enum Format: String, CaseIterable {
    case safetensors
    case gguf
  }

  var model = ModelOptions()
  var quantization = QuantizationOptions()
  /// Bytes; 0: one file for all weights.
  var maximumShardSize = 0
  var format = Format.safetensors
  /// Of a GGUF file; nil: not set, which means f16.
  var encoding: GGUFExport.Encoding?
}

extension PerplexityOptions: OptionGroup {
  static let kind = OptionKind.score
}
