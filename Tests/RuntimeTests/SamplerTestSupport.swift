// SamplerTestSupport.swift -- what the tests of sampling share.

import TestSupport
import XverseCore

@testable import XverseRuntime

/// Distinct multiples of 1/8 from -4 to 3.875 in a scattered order; from 64 tokens on they repeat.
func scatteredLogits(_ vocabularySize: Int) -> [Float] {
  (0..<vocabularySize).map { Float(($0 * 37 + 11) % 64) / 8 - 4 }
}

func samplingParameters(_ change: (inout SamplingParameters) -> Void) -> SamplingParameters {
  var parameters = SamplingParameters()
  parameters.seed = 42
  change(&parameters)
  return parameters
}

func makeSampler(
  vocabularySize: Int, allocator: MemoryAllocator = .system, _ change: (inout SamplingParameters) -> Void = { _ in }
) throws(XverseError) -> Sampler {
  try Sampler(samplingParameters(change), vocabularySize: vocabularySize, allocator: allocator)
}

extension Sampler {
  func sample(_ logits: [Float]) throws(XverseError) -> Int32 {
    try logits.withUnsafeBufferPointer { (logits) throws(XverseError) in
      try sample(logits, wantsLogprob: false).token
    }
  }

  func sampleWithLogprob(_ logits: [Float]) throws(XverseError) -> (token: Int32, logprob: Float) {
    try logits.withUnsafeBufferPointer { (logits) throws(XverseError) in try sample(logits, wantsLogprob: true) }
  }

  func sample(_ logits: [Float], times: Int) throws(XverseError) -> [Int32] {
    var tokens: [Int32] = []
    for _ in 0..<times { tokens.append(try sample(logits)) }
    return tokens
  }

  func accept(prompt: [Int32] = [], output: [Int32] = []) throws(XverseError) {
    for token in prompt { try accept(token, isGenerated: false) }
    for token in output { try accept(token, isGenerated: true) }
  }

  /// The tokens that may be drawn, in ascending order, and their probabilities.
  func distribution(_ logits: [Float]) throws(XverseError) -> (tokens: [Int32], probabilities: [Float]) {
    try logits.withUnsafeBufferPointer { (logits) throws(XverseError) in try prepareCandidates(logits) }
    let weights = candidates.weights.prefix(candidates.count)
    let total = weights.reduce(0.0) { $0 + Double($1) }
    return (Array(candidates.tokens.prefix(candidates.count)), weights.map { Float(Double($0) / total) })
  }
}

extension CountingHost {
  /// The host must outlive what takes memory from it.
  var allocator: MemoryAllocator {
    MemoryAllocator(functions: .init(allocate: Self.allocate, deallocate: Self.deallocate, user: user))
  }
}
