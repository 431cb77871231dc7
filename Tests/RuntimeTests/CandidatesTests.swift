// CandidatesTests.swift -- the working set of sampling: the search that replaces a sort, against a sort.

import Glibc
import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

@Suite("Candidates")
struct CandidatesTests {
  /// Tokens in the order of their logits, the lower id first among equals.
  private func ranking(_ logits: [Float]) -> [Int] {
    logits.indices.sorted { logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1] }
  }

  private func loaded(_ logits: [Float]) throws(XverseError) -> Candidates {
    var candidates = try Candidates(vocabularySize: logits.count, allocator: .system)
    logits.withUnsafeBufferPointer { candidates.load($0) }
    return candidates
  }

  private func tokens(_ candidates: borrowing Candidates) -> [Int] {
    candidates.tokens.prefix(candidates.count).map { Int($0) }
  }

  @Test("top-k agrees with a sort", arguments: [(50, 7), (5000, 1), (5000, 19), (5000, 20), (5000, 4999)])
  func topKAgreesWithSort(count: Int, k: Int) throws {
    var random = SeededRandom(seed: UInt64(k))
    let logits = random.floats(count, in: -30...30)
    var candidates = try loaded(logits)

    candidates.keepTopK(k)

    #expect(tokens(candidates) == ranking(logits).prefix(k).sorted())
  }

  @Test("top-k keeps all that equal the last, in a set large enough for the bound of block maxima")
  func topKKeepsEquals() throws {
    let logits = scatteredLogits(6400)
    var candidates = try loaded(logits)

    candidates.keepTopK(3)

    #expect(tokens(candidates) == logits.indices.filter { logits[$0] == 3.875 })
  }

  @Test("weights survive a top-k that used their memory")
  func topKKeepsWeights() throws {
    var candidates = try loaded((0..<4000).map { Float($0) * -0.01 })
    candidates.weigh()

    candidates.keepTopK(2)
    candidates.weigh()

    #expect(candidates.weights[0] == 1)
    #expect(candidates.weights[1] < 1)
  }

  @Test("top-p agrees with a sort", arguments: [Float(0.01), 0.3, 0.85, 0.999], [Float(0.1), 1, 8])
  func topPAgreesWithSort(mass: Float, spread: Float) throws {
    var random = SeededRandom(seed: 11)
    let logits = random.floats(3001, in: -spread...spread)
    var candidates = try loaded(logits)
    candidates.weigh()
    let weights = candidates.weights.prefix(3001).map { Double($0) }
    let target = Double(mass) * weights.reduce(0, +)

    candidates.keepTopP(mass)

    var sum = 0.0
    let nucleus = ranking(logits).prefix { token in
      defer { sum += weights[token] }
      return sum < target
    }
    #expect(tokens(candidates) == nucleus.sorted())
  }

  @Test("top-p among equals keeps the lowest ids, as few as are needed")
  func topPCutsEquals() throws {
    var candidates = try loaded([Float](repeating: 1.5, count: 100))

    candidates.keepTopP(0.25)

    #expect(tokens(candidates) == Array(0..<25))
  }

  @Test("top-p counts 0 and -0 as equals")
  func topPJoinsZeros() throws {
    var candidates = try loaded([0, -0.0, 0, -0.0])

    candidates.keepTopP(0.6)

    #expect(tokens(candidates) == [0, 1, 2])
  }

  @Test("weights stay near e^x for all that can come, to the last place but two")
  func exponentialIsAccurate() {
    for step in 0..<20_000 {
      let x = Float(step) * -0.0043
      let value = exponential(SIMD8(repeating: x))[0]

      // 3 units in the last place.
      #expect(abs(Double(value) - exp(Double(x))) <= 3 * 0x1p-24 * 2 * exp(Double(x)))
    }
    #expect(
      exponential(SIMD8(0, -0.0, -87.5, -1000, -.greatestFiniteMagnitude, -.infinity, -1e-30, -88)) == [
        1, 1, 0, 0, 0, 0, 1, 0,
      ])
  }
}
