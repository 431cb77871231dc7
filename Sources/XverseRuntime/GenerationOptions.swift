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
  /// With each token, this many of the most probable ones in its place; 0: none.
  package var topLogprobs = 0
  /// Milliseconds for the whole generation; 0: no limit.
  package var deadline: Int64 = 0
  /// Answers to the prompt; more than one only from a scheduler.
  package var count = 1
  /// A scheduler lets answers of a lower number go first.
  package var priority = 0
  package var speculation = SpeculationOptions()

  /// Of the model's defaults, by key: why a value cannot be used. It stands as NaN, or `unusable`, until another is set.
  private let faults: [String: String]
  private static let unusable = Int.min

  /// A model's own defaults, and where it has none those of transformers' GenerationConfig: greedy, and 50 for `top_k`.
  package init(_ defaults: GenerationDefaults = GenerationDefaults()) {
    faults = defaults.faults
    if let value = defaults.doSample { sampling.doSample = value }
    sampling.topK = faults["top_k"] == nil ? defaults.topK ?? GenerationDefaults.standardTopK : Self.unusable
    maximumNewTokens = faults["max_new_tokens"] == nil ? defaults.maxNewTokens : Self.unusable
    func set(_ key: String, _ value: Double?, _ member: WritableKeyPath<SamplingParameters, Float>) {
      if let value { sampling[keyPath: member] = Float(value) }
      if faults[key] != nil { sampling[keyPath: member] = .nan }
    }
    set("temperature", defaults.temperature, \.temperature)
    set("top_p", defaults.topP, \.topP)
    set("min_p", defaults.minP, \.minP)
    set("typical_p", defaults.typicalP, \.typicalP)
    set("repetition_penalty", defaults.repetitionPenalty, \.repetitionPenalty)
  }

  /// The options of a generation that begins now: what it does not need of the model's defaults is not looked at.
  ///
  /// - Throws: `corrupt` for a value of the model's that it needs and that cannot be used.
  package func usable() throws(XverseError) -> Self {
    var options = self
    if maximumNewTokens == Self.unusable { throw fault("max_new_tokens") }
    if sampling.repetitionPenalty.isNaN { throw fault("repetition_penalty") }
    guard !sampling.isGreedy else {
      options.sampling.removeSamplingSteps()
      return options
    }
    if sampling.topK == Self.unusable { throw fault("top_k") }
    if sampling.temperature.isNaN { throw fault("temperature") }
    if sampling.topP.isNaN { throw fault("top_p") }
    if sampling.minP.isNaN { throw fault("min_p") }
    if sampling.typicalP.isNaN { throw fault("typical_p") }
    return options
  }

  private func fault(_ key: String) -> XverseError {
    .corrupt("\(faults[key] ?? "'\(key)' cannot be used"): mend the file or set option '\(key)'")
  }
}
