// SpeculationSupport.swift -- guessing that does not depend on time, and models to guess with.

import ModelTestSupport
import TestSupport
import XverseConversion
import XverseCore
import XverseFormats
import XverseLoading

@testable import XverseRuntime

/// Guesses as many tokens as may be, or a random number of them.
final class EagerRecord: SpeculationRecord {
  private var random: SeededRandom?

  /// - Parameter seed: nil: always the most.
  init(seed: UInt64? = nil) { random = seed.map { SeededRandom(seed: $0) } }

  override func guessCount(
    atMost limit: Int, besides others: Int, _ confidence: (_ index: Int) -> Confidence
  ) -> Int {
    guard limit > 0 else { return 0 }
    return random.map { _ in Int.random(in: 0...limit, using: &random!) } ?? limit
  }
}

extension Session {
  /// Makes guessing independent of time.
  func guessEagerly(seed: UInt64? = nil) -> Session {
    speculation.record = EagerRecord(seed: seed)
    return self
  }

  /// Sets a draft model of the same runtime.
  func withDraft(_ draft: TinyHost, context: Int? = nil) throws -> Session {
    try setDraft(try DraftModel(draft.loaded, for: model, runtime, context: context))
    return self
  }
}

/// Loads a tiny model whose weights become `scheme`.
func loadTiny(
  _ scheme: QuantizationScheme?, runtime: Runtime? = nil, _ change: (inout TinyCheckpoint) -> Void = { _ in }
) throws -> TinyHost {
  let runtime = try runtime ?? Runtime(threadCount: 1)
  var quantization = Quantization()
  quantization.scheme = scheme
  let directory = try writeTiny(change)
  return try withExtendedLifetime(directory) {
    let context = runtime.context()
    let loaded = try LoadedModel(
      .path(FilePath(directory.path)), options: ModelOptions(), context, conversion: quantization.conversion(context))
    return TinyHost(loaded: loaded, runtime: runtime)
  }
}

extension GenerationOptions {
  /// The same with prompt lookup.
  func lookingUp(_ count: Int) -> Self {
    var options = self
    options.speculation.promptLookupTokens = count
    return options
  }
}

/// Everything about an answer but its times and counts of guesses.
struct Outcome: Equatable {
  let tokens: [Int32]
  let logprobs: [Float]
  let text: [UInt8]
  let reason: FinishReason
  let held: [Int32]
  let logits: [Float]?

  init(_ result: GenerationResult, _ session: Session) {
    tokens = result.tokenArray
    logprobs = Array(result.logprobs.elements)
    text = result.textBytes
    reason = result.statistics.finishReason
    held = session.heldTokens
    logits = session.heldLogits
  }
}
