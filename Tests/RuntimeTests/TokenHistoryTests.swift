// TokenHistoryTests.swift -- the counts behind the penalties, against counting anew.

import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

@Suite("TokenHistory")
struct TokenHistoryTests {
  @Test("agrees with counting anew after every token", arguments: [0, 1, 2, 7, 500])
  func agreesWithCounting(window: Int) throws {
    let parameters = samplingParameters {
      $0.repeatLastN = window
      $0.repetitionPenalty = 2
      $0.presencePenalty = 1
    }
    var history = try TokenHistory(for: parameters, vocabularySize: 12, allocator: .system)
    var random = SeededRandom(seed: 9)
    var tokens: [Int32] = []
    var generated: [Int32] = []

    for step in 0..<200 {
      let token = Int32.random(in: 0..<12, using: &random)
      tokens.append(token)
      if step >= 50 { generated.append(token) }
      try history.append(token, isGenerated: step >= 50)

      #expect(counts(history.recent) == counted(window == 0 ? tokens[...] : tokens.suffix(window)))
      #expect(counts(history.generated) == counted(generated[...]))
    }
  }

  @Test("keeps nothing for penalties that are off")
  func keepsNothing() throws {
    let host = CountingHost()
    let allocator = MemoryAllocator(
      functions: .init(allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user))
    var history = try TokenHistory(for: SamplingParameters(), vocabularySize: 12, allocator: allocator)

    try history.append(3, isGenerated: true)

    #expect(host.requestCount == 0)
  }

  private func counts(_ counts: borrowing TokenCounts) -> [Int32: Int] {
    Dictionary(zip(counts.distinct, counts.counts)) { first, second in first + second + 1000 }
  }

  private func counted(_ tokens: ArraySlice<Int32>) -> [Int32: Int] {
    tokens.reduce(into: [:]) { counts, token in counts[token, default: 0] += 1 }
  }
}
