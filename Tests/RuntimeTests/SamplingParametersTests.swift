// SamplingParametersTests.swift -- the bounds of every sampling parameter.

import Testing
import XverseCore

@testable import XverseRuntime

@Suite("SamplingParameters")
struct SamplingParametersTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout SamplingParameters) -> Void

    init(_ message: String, change: @escaping @Sendable (inout SamplingParameters) -> Void) {
      testDescription = message
      self.change = change
    }
  }

  static let rejected = [
    Case("temperature is -1.0, expected a finite number of at least 0") { $0.temperature = -1 },
    Case("temperature is nan, expected a finite number of at least 0") { $0.temperature = .nan },
    Case("temperature is inf, expected a finite number of at least 0") { $0.temperature = .infinity },
    Case("top_k is -1, expected at least 0") { $0.topK = -1 },
    Case("top_p is 1.5, expected 0.0 to 1.0") { $0.topP = 1.5 },
    Case("top_p is -0.5, expected 0.0 to 1.0") { $0.topP = -0.5 },
    Case("top_p is nan, expected 0.0 to 1.0") { $0.topP = .nan },
    Case("min_p is 2.0, expected 0.0 to 1.0") { $0.minP = 2 },
    Case("typical_p is -1.0, expected 0.0 to 1.0") { $0.typicalP = -1 },
    Case("repetition_penalty is 0.0, expected a finite number above 0") { $0.repetitionPenalty = 0 },
    Case("repetition_penalty is inf, expected a finite number above 0") { $0.repetitionPenalty = .infinity },
    Case("repeat_last_n is -1, expected at least 0") { $0.repeatLastN = -1 },
    Case("frequency_penalty is 2.5, expected -2.0 to 2.0") { $0.frequencyPenalty = 2.5 },
    Case("presence_penalty is nan, expected -2.0 to 2.0") { $0.presencePenalty = .nan },
    Case("logit_bias names token 64, expected 0 to 63") { $0.logitBias = [(0, 1), (64, 1)] },
    Case("logit_bias names token -1, expected 0 to 63") { $0.logitBias = [(-1, 1)] },
    Case("logit_bias of token 3 is nan, expected a finite number or -inf") { $0.logitBias = [(3, .nan)] },
    Case("logit_bias of token 3 is inf, expected a finite number or -inf") { $0.logitBias = [(3, .infinity)] },
  ]

  @Test("rejects a value outside its bounds", arguments: rejected)
  func rejects(example: Case) {
    #expect(throws: XverseError.range(example.testDescription)) {
      try makeSampler(vocabularySize: 64, example.change)
    }
  }

  static let accepted: [Case] = [
    Case("lowest") {
      ($0.temperature, $0.topP, $0.minP, $0.typicalP) = (0, 0, 0, 0)
      ($0.repetitionPenalty, $0.frequencyPenalty, $0.presencePenalty) = (.leastNonzeroMagnitude, -2, -2)
    },
    Case("highest") {
      ($0.temperature, $0.topK, $0.topP, $0.minP, $0.typicalP) = (.greatestFiniteMagnitude, .max, 1, 1, 1)
      ($0.repetitionPenalty, $0.frequencyPenalty, $0.presencePenalty) = (.greatestFiniteMagnitude, 2, 2)
      $0.repeatLastN = .max
      $0.logitBias = [(0, -.infinity), (63, .greatestFiniteMagnitude)]
    },
  ]

  @Test("accepts the bounds themselves", arguments: accepted, [false, true])
  func accepts(example: Case, doSample: Bool) throws {
    for seed in [0, 1, UInt64.max] {
      let sampler = try makeSampler(vocabularySize: 64) {
        $0.seed = seed
        $0.doSample = doSample
        example.change(&$0)
      }
      try sampler.accept(prompt: [36, 1], output: [2, 36])

      #expect(try sampler.sample(scatteredLogits(64), times: 4).allSatisfy { (0..<64).contains($0) })
    }
  }
}
