// TokenWindowTests.swift -- the counts behind the penalties, against counting anew.

import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

@Suite("TokenWindow")
struct TokenWindowTests {
  @Test("agrees with counting anew after every token", arguments: [0, 1, 2, 7, 500])
  func agreesWithCounting(size: Int) throws {
    var window = try TokenWindow(size: size, vocabularySize: 12, allocator: .system)
    var random = SeededRandom(seed: 9)
    var tokens: [Int32] = []

    for _ in 0..<200 {
      let token = Int32.random(in: 0..<12, using: &random)
      tokens.append(token)
      try window.reserveOne()
      window.add(token)

      #expect(counts(window.counts) == counted(size == 0 ? tokens[...] : tokens.suffix(size)))
    }
  }
}

@Suite("Processors' counts")
struct ProcessorCountsTests {
  @Test("agree with counting anew after every token", arguments: [0, 1, 2, 7, 500])
  func agreeWithCounting(windowSize: Int) throws {
    let repetition = try RepetitionPenalty(2, windowSize: windowSize, vocabularySize: 12, allocator: .system)
    let occurrence = try OccurrencePenalties(frequency: 0, presence: 1, vocabularySize: 12, allocator: .system)
    var random = SeededRandom(seed: 9)
    var tokens: [Int32] = []
    var generated: [Int32] = []

    for step in 0..<200 {
      let token = Int32.random(in: 0..<12, using: &random)
      tokens.append(token)
      if step >= 50 { generated.append(token) }
      for processor in [repetition, occurrence] as [any LogitsProcessor] {
        try processor.prepareToAccept(token, isGenerated: step >= 50)
        processor.accept(token, isGenerated: step >= 50)
      }

      #expect(counts(repetition.window.counts) == counted(windowSize == 0 ? tokens[...] : tokens.suffix(windowSize)))
      #expect(counts(occurrence.generated) == counted(generated[...]))
    }
  }

  @Test("do not exist for penalties that are off")
  func keepNothing() throws {
    let host = CountingHost()
    let sampler = try makeSampler(vocabularySize: 12, allocator: host.allocator)

    for token: Int32 in 0..<12 { try sampler.accept(token, isGenerated: true) }

    // The histogram of the candidates.
    #expect(host.requestCount == 1)
  }
}

private func counts(_ counts: borrowing TokenCounts) -> [Int32: Int] {
  Dictionary(zip(counts.distinct, counts.counts)) { first, second in first + second + 1000 }
}

private func counted(_ tokens: ArraySlice<Int32>) -> [Int32: Int] {
  tokens.reduce(into: [:]) { counts, token in counts[token, default: 0] += 1 }
}
