// SamplerTests.swift -- the choice of a token: order of the steps, hostile logits, reproducibility, memory.

import Glibc
import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

@Suite("Sampler, greedy")
struct GreedySamplerTests {
  @Test("chooses the largest logit, the lowest id among equals", arguments: [3, 8, 9, 64, 100])
  func choosesLargest(vocabularySize: Int) throws {
    for best in 0..<vocabularySize {
      var logits = [Float](repeating: -1, count: vocabularySize)
      logits[best] = 2
      logits[vocabularySize - 1] = 2

      #expect(try makeSampler(vocabularySize: vocabularySize).sample(logits) == Int32(best))
    }
  }

  @Test("is what a temperature of 0 means")
  func isTemperatureZero() throws {
    let sampler = try makeSampler(vocabularySize: 64) {
      $0.doSample = true
      $0.temperature = 0
      $0.topP = 0.5
    }

    #expect(try sampler.sample(scatteredLogits(64), times: 5) == [36, 36, 36, 36, 36])
  }

  @Test("counts NaN as -inf, and +inf as the largest")
  func toleratesNonNumbers() throws {
    let sampler = try makeSampler(vocabularySize: 5)

    #expect(try sampler.sample([.nan, -3, -2, .nan, -.infinity]) == 2)
    #expect(try sampler.sample([.nan, 3, .infinity, 7, .infinity]) == 2)
    #expect(try sampler.sample([-.infinity, -.infinity, -.infinity, -.infinity, -.greatestFiniteMagnitude]) == 4)
  }

  @Test("leaves the logits unchanged")
  func leavesLogits() throws {
    let sampler = try makeSampler(vocabularySize: 64) { $0.repetitionPenalty = 2 }
    try sampler.accept(prompt: [36])
    let logits = scatteredLogits(64)

    _ = try sampler.sample(logits)

    #expect(logits == scatteredLogits(64))
  }
}

@Suite("Sampler, penalties")
struct PenalizedSamplerTests {
  @Test("repetition penalty reaches back as far as repeat_last_n")
  func windowSlides() throws {
    let logits: [Float] = [8, 7.5, 7, 6.5]
    let sampler = try makeSampler(vocabularySize: 4) {
      $0.repetitionPenalty = 2
      $0.repeatLastN = 2
    }

    try sampler.accept(prompt: [0, 0])
    #expect(try sampler.sample(logits) == 1)
    try sampler.accept(output: [1])
    #expect(try sampler.sample(logits) == 2)
    try sampler.accept(output: [2])
    #expect(try sampler.sample(logits) == 0)
  }

  @Test("repetition penalty counts a token once however often it stands there")
  func repetitionIgnoresCounts() throws {
    let sampler = try makeSampler(vocabularySize: 2) { $0.repetitionPenalty = 2 }
    try sampler.accept(prompt: [0, 0, 0, 0])

    #expect(try sampler.sample([8, 3.9]) == 0)
    #expect(try sampler.sample([8, 4.1]) == 1)
  }

  @Test("occurrence penalties leave the prompt alone")
  func occurrenceIgnoresPrompt() throws {
    let sampler = try makeSampler(vocabularySize: 2) {
      $0.frequencyPenalty = 1
      $0.presencePenalty = 0.5
    }

    try sampler.accept(prompt: [0, 0, 0])
    #expect(try sampler.sample([1, 0]) == 0)
    try sampler.accept(output: [0])
    #expect(try sampler.sample([1, 0]) == 1)
    #expect(try sampler.sample([1.6, 0]) == 0)
  }

  @Test("biases of one token add up, and -inf forbids it")
  func biasesAdd() throws {
    let sampler = try makeSampler(vocabularySize: 3) {
      $0.logitBias = [(2, 1), (2, 1.5), (0, -.infinity)]
    }

    #expect(try sampler.sample([9, 2, 0]) == 2)
    #expect(try sampler.sample([.infinity, 3, 0]) == 1)
  }
}

@Suite("Sampler, drawing")
struct DrawingSamplerTests {
  @Test("one seed gives the same tokens everywhere")
  func seedDecides() throws {
    let sampler = try makeSampler(vocabularySize: 64) { $0.doSample = true }

    // Computed apart, with Python's integers and doubles, from the papers of SplitMix64 and xoshiro256**.
    let expected: [Int32] = [4, 29, 41, 55, 60, 48, 48, 55, 48, 36, 41, 22, 53, 22, 46, 55]
    #expect(try sampler.sample(scatteredLogits(64), times: 16) == expected)
  }

  @Test("without a seed takes one from the system, and says which")
  func reportsSystemSeed() throws {
    var parameters = SamplingParameters()
    parameters.doSample = true
    let logits = scatteredLogits(64)

    let first = try Sampler(parameters, vocabularySize: 64, allocator: .system)
    let second = try Sampler(parameters, vocabularySize: 64, allocator: .system)
    parameters.seed = first.seed
    let again = try Sampler(parameters, vocabularySize: 64, allocator: .system)

    #expect(first.seed != second.seed)
    #expect(try first.sample(logits, times: 20) == again.sample(logits, times: 20))
  }

  @Test("draws with the probabilities of the softmax")
  func followsProbabilities() throws {
    let sampler = try makeSampler(vocabularySize: 8) { $0.doSample = true }
    let logits: [Float] = [0, 1, -1, 0.5, 2, -2, 0, 1.5]
    let (_, probabilities) = try sampler.distribution(logits)
    let draws = 40_000
    var counts = [Int](repeating: 0, count: 8)

    for token in try sampler.sample(logits, times: draws) { counts[Int(token)] += 1 }

    let chiSquare = zip(counts, probabilities).reduce(0.0) { sum, pair in
      let expected = Double(pair.1) * Double(draws)
      return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
    }
    // The 99.9th percentile of chi-square with 7 degrees of freedom; the seed is fixed.
    #expect(chiSquare < 24.32)
  }

  @Test("never draws NaN or -inf; +inf takes all", arguments: [Float(0.25), 1, 4])
  func toleratesNonNumbers(temperature: Float) throws {
    let sampler = try makeSampler(vocabularySize: 6) {
      $0.doSample = true
      $0.temperature = temperature
    }

    #expect(Set(try sampler.sample([.nan, 1, -.infinity, 1, .nan, 1], times: 200)) == [1, 3, 5])
    #expect(Set(try sampler.sample([.nan, 1, .infinity, 1, .infinity, 1], times: 200)) == [2, 4])
  }

  @Test("a temperature near 0 is greedy, one near infinity draws evenly")
  func reachesLimits() throws {
    let cold = try makeSampler(vocabularySize: 64) {
      $0.doSample = true
      $0.temperature = .leastNonzeroMagnitude
    }
    let hot = try makeSampler(vocabularySize: 64) {
      $0.doSample = true
      $0.temperature = .greatestFiniteMagnitude
    }

    #expect(try cold.sample(scatteredLogits(64), times: 5) == [36, 36, 36, 36, 36])
    #expect(try cold.sample(scatteredLogits(64).map { $0 - 9 }, times: 5) == [36, 36, 36, 36, 36])
    #expect(try hot.distribution(scatteredLogits(64)).probabilities == [Float](repeating: 1 / 64, count: 64))
  }

  @Test("survives any logits with any step", arguments: [0, 1, 7, 100])
  func survivesHostileLogits(topK: Int) throws {
    let special: [Float] = [
      .nan, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, 0, -0.0,
      1,
    ]
    var random = SeededRandom(seed: 3)
    for _ in 0..<300 {
      let logits = (0..<20).map { _ in special[Int.random(in: 0..<special.count, using: &random)] }
      let sampler = try makeSampler(vocabularySize: 20) {
        $0.doSample = true
        $0.topK = topK
        $0.temperature = [1, 0.001, 1000].randomElement(using: &random) ?? 1
        $0.topP = [1, 0, 0.5].randomElement(using: &random) ?? 1
        $0.minP = [0, 1, 0.5].randomElement(using: &random) ?? 0
        $0.typicalP = [1, 0, 0.5].randomElement(using: &random) ?? 1
      }
      guard logits.contains(where: { $0 > -.infinity }) else { continue }

      #expect(logits[Int(try sampler.sample(logits))] > -.infinity)
    }
  }

  @Test("top-k above the vocabulary keeps it all")
  func toleratesLargeTopK() throws {
    let sampler = try makeSampler(vocabularySize: 64) {
      $0.doSample = true
      $0.topK = .max
    }

    #expect(try sampler.distribution(scatteredLogits(64)).tokens.count == 64)
  }
}

@Suite("Sampler, contract")
struct SamplerContractTests {
  @Test("throws when no token is possible, and keeps its random numbers", arguments: [false, true])
  func rejectsNoToken(doSample: Bool) throws {
    let sampler = try makeSampler(vocabularySize: 4) { $0.doSample = doSample }
    let fresh = try sampler.clone()

    let error = #expect(throws: XverseError.self) { try sampler.sample([-.infinity, .nan, -.infinity, .nan]) }

    #expect(error?.code == .failed)
    #expect(error?.message.hasPrefix("no token possible: all 4 logits") == true)
    #expect(try sampler.sample([0, 1, 2, 3], times: 9) == fresh.sample([0, 1, 2, 3], times: 9))
  }

  @Test("rejects logits of another vocabulary and tokens outside it")
  func rejectsWrongSizes() throws {
    let sampler = try makeSampler(vocabularySize: 4) { $0.repetitionPenalty = 2 }

    #expect(throws: XverseError.invalid("3 logits were given to the sampler, expected 4")) {
      try sampler.sample([1, 2, 3])
    }
    for token: Int32 in [-1, 4, .max, .min] {
      #expect(throws: XverseError.range("token \(token) is outside the vocabulary, expected 0 to 3")) {
        try sampler.accept(token, isGenerated: true)
      }
    }
    #expect(throws: XverseError.range("the vocabulary has 0 tokens, expected 1 to 2147483647")) {
      try makeSampler(vocabularySize: 0)
    }
  }

  @Test("reports log p under the model's own distribution, whatever the steps do")
  func reportsLogprob() throws {
    var random = SeededRandom(seed: 5)
    let logits = random.floats(1003, in: -20...20)
    let sampler = try makeSampler(vocabularySize: 1003) {
      $0.doSample = true
      $0.temperature = 3
      $0.topK = 50
      $0.logitBias = [(7, 30)]
    }

    for _ in 0..<20 {
      let (token, logprob) = try sampler.sampleWithLogprob(logits)

      let sum = logits.reduce(0.0) { $0 + exp(Double($1)) }
      let expected = Double(logits[Int(token)]) - log(sum)
      // An exponential within 3 * 2^-24 and a difference rounded by at most 40 * 2^-24 before it; then one float.
      #expect(abs(Double(logprob) - expected) <= 43 * 0x1p-24 + abs(expected) * 0x1p-24)
    }
  }

  @Test(
    "log p of logits that are no numbers",
    arguments: [
      ([1, 1, 1, 1], 0, -1.386_294_4), ([.nan, 1, -.infinity, .nan], 1, 0), ([.nan, 1, 1, 1], 0, -.infinity),
      ([.infinity, 5, .infinity, .nan], 2, -0.693_147_2), ([.infinity, 5, .infinity, .nan], 1, -.infinity),
      ([-.infinity, -.infinity, .nan, .nan], 0, -.infinity),
    ] as [([Float], Int, Float)])
  func logprobOfNonNumbers(logits: [Float], token: Int, expected: Float) {
    #expect(logits.withUnsafeBufferPointer { logProbability(of: token, in: $0) } == expected)
  }

  @Test("calls the hook after bias and penalties and before the temperature")
  func callsHook() throws {
    let sampler = try makeSampler(vocabularySize: 3) {
      $0.doSample = true
      $0.temperature = 0.5
      $0.logitBias = [(1, 4)]
      $0.repetitionPenalty = 2
    }
    try sampler.accept(prompt: [1])
    var seen: [Float] = []
    try sampler.setLogitsHook { logits in
      seen = Array(logits)
      logits[1] = -.infinity
      logits[2] = .nan
      return true
    }

    let token = try sampler.sample([-1, 2, 5])
    try sampler.setLogitsHook(nil)
    let unhooked = try sampler.distribution([-1, 2, 5]).tokens

    #expect(seen == [-1, 3, 5])
    #expect(token == 0)
    #expect(unhooked == [0, 1, 2])
  }

  @Test("stops when the hook says so")
  func stopsByHook() throws {
    let sampler = try makeSampler(vocabularySize: 3)
    try sampler.setLogitsHook { _ in false }

    let error = #expect(throws: XverseError.self) { try sampler.sample([1, 2, 3]) }

    #expect(error?.code == .stopped)
  }

  @Test("a clone goes on like the original and apart from it")
  func clones() throws {
    let sampler = try makeSampler(vocabularySize: 64) {
      $0.doSample = true
      $0.repetitionPenalty = 1.5
      $0.repeatLastN = 3
      $0.frequencyPenalty = 0.5
    }
    try sampler.accept(prompt: [1, 2, 36], output: [55, 3])
    _ = try sampler.sample(scatteredLogits(64), times: 3)

    let clone = try sampler.clone()
    try clone.accept(output: [10])
    try clone.accept(output: [10])
    let untouched = try sampler.clone()

    #expect(try sampler.distribution(scatteredLogits(64)) == untouched.distribution(scatteredLogits(64)))
    #expect(try sampler.distribution(scatteredLogits(64)) != clone.distribution(scatteredLogits(64)))
    #expect(try sampler.sample(scatteredLogits(64), times: 20) == untouched.sample(scatteredLogits(64), times: 20))
  }

  @Test("asks for no memory while it samples")
  func samplesWithoutAllocating() throws {
    let host = CountingHost()
    let sampler = try makeSampler(vocabularySize: 300, allocator: host.allocator) {
      $0.doSample = true
      $0.topK = 40
      $0.topP = 0.9
      $0.minP = 0.01
      $0.typicalP = 0.9
      $0.repetitionPenalty = 1.1
    }
    try sampler.setLogitsHook { _ in true }
    let before = host.requestCount

    _ = try sampler.sample(scatteredLogits(300), times: 10)

    #expect(before > 0)
    #expect(host.requestCount == before)
  }

  @Test("gives everything back when any request for memory fails", arguments: 0..<30)
  func survivesOutOfMemory(failingRequest: Int) {
    let host = CountingHost(failingRequest: failingRequest)
    func use() throws(XverseError) {
      let sampler = try makeSampler(vocabularySize: 64, allocator: host.allocator) {
        $0.doSample = true
        $0.repetitionPenalty = 1.1
        $0.repeatLastN = 40
        $0.presencePenalty = 1
      }
      for token: Int32 in 0..<50 { try sampler.accept(token, isGenerated: true) }
      _ = try sampler.clone().sample(scatteredLogits(64))
    }

    let error: XverseError? = { do throws(XverseError) { try use(); return nil } catch { return error } }()

    #expect(error == nil ? host.requestCount <= failingRequest : error?.code == .outOfMemory)
    #expect(host.blockCount == 0)
    #expect(host.byteCount == 0)
  }
}
