// LoadedModel.swift -- everything that a directory of model files turns into.

import XverseCore
import XverseFormats
import XverseModels
import XverseTensors
import XverseTokenizers

/// A model with its tokenizer and defaults. Immutable; any number of runtimes and sessions may use it.
package final class LoadedModel: Sendable {
  /// Last component of the path.
  package let name: String
  package let configuration: ModelConfiguration
  package let tokenizer: Tokenizer
  package let generationDefaults: GenerationDefaults
  /// Special ids: generation_config.json's, else config.json's.
  package let specialTokens: SpecialTokens
  /// nil when only the vocabulary was loaded.
  package let model: XverseModel?
  /// Bytes of all weights as stored.
  package let weightBytes: Int
  private let knownFingerprint = Guarded<UInt64?>(nil)

  init(
    name: String, configuration: ModelConfiguration, tokenizer: Tokenizer,
    generationDefaults: GenerationDefaults, model: XverseModel?, weightBytes: Int
  ) {
    self.name = name
    self.configuration = configuration
    self.tokenizer = tokenizer
    self.generationDefaults = generationDefaults
    specialTokens = SpecialTokens(configuration, generationDefaults)
    self.model = model
    self.weightBytes = weightBytes
  }
}

extension LoadedModel {
  /// The model's fingerprint, worked out when it is first asked for; 0 without weights.
  package var fingerprint: UInt64 {
    knownFingerprint.withLock { known in
      let fingerprint = known ?? model?.fingerprint() ?? 0
      known = fingerprint
      return fingerprint
    }
  }
}

/// The ids that begin, end and pad a sequence.
package struct SpecialTokens: Sendable {
  package let bos: Int32?
  package let pad: Int32?
  /// Any of them ends generation; the first one stands after an answer in a chat.
  package let eos: [Int32]
  /// The file that says so about `eos`, for messages.
  package let eosSource: String

  package init(_ configuration: ModelConfiguration, _ defaults: GenerationDefaults?) {
    bos = defaults?.bosToken ?? configuration.bosToken
    pad = defaults?.padToken ?? configuration.padToken
    eos = defaults?.eosTokens ?? configuration.eosTokens
    eosSource = defaults?.eosTokens == nil ? configuration.source : "generation_config.json"
  }
}
