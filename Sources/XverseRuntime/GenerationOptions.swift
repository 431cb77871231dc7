// GenerationOptions.swift -- how to generate: sampling, and when to end.

import XverseCore
import XverseLoading

/// Why generation ended; the raw values are the ABI's.
package enum FinishReason: Int32, Sendable {
  case none = 0
  case eos = 1
  case stop = 2
  case length = 3
  case callback = 4
  case cancelled = 5
  case deadline = 6
  case error = 8
}

/// What a request asks for, with Hugging Face's meaning.
package struct GenerationOptions: Sendable {
  package var sampling = SamplingParameters()
  /// nil: until the context is full.
  package var maximumNewTokens: Int?
  /// Generation ends before the first of these that appears in the text.
  package var stops: [[UInt8]] = []
  package var ignoresEOS = false
  package var wantsLogprobs = false
  /// Milliseconds for the whole generation; 0: no limit.
  package var deadline: Int64 = 0

  /// A model's own defaults; greedy where it has none.
  package init(_ defaults: GenerationDefaults = GenerationDefaults()) {
    if let value = defaults.doSample { sampling.doSample = value }
    if let value = defaults.temperature { sampling.temperature = Float(value) }
    if let value = defaults.topK { sampling.topK = value }
    if let value = defaults.topP { sampling.topP = Float(value) }
    if let value = defaults.minP { sampling.minP = Float(value) }
    if let value = defaults.typicalP { sampling.typicalP = Float(value) }
    if let value = defaults.repetitionPenalty { sampling.repetitionPenalty = Float(value) }
    maximumNewTokens = defaults.maxNewTokens
  }
}
