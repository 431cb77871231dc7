// AttentionTests.swift -- causal softmax attention over a blocked cache.

import CXverseKernels
import Foundation
import TestSupport
import Testing

/// Random queries and a cache that holds every position they see, NaN behind it.
private struct AttentionCase: CustomTestStringConvertible {
  let heads, kvHeads, headSize, position, tokens: Int
  /// Scores spread over about plus and minus this.
  var spread: Float = 4

  var testDescription: String { "\(tokens) tokens at \(position), \(heads)/\(kvHeads) heads of \(headSize)" }
  var scale: Float { spread / Float(headSize) }

  static let ragged = [
    Self(heads: 1, kvHeads: 1, headSize: 1, position: 0, tokens: 1),
    Self(heads: 2, kvHeads: 1, headSize: 7, position: 0, tokens: 13),
    Self(heads: 4, kvHeads: 2, headSize: 33, position: 62, tokens: 5),
    Self(heads: 6, kvHeads: 2, headSize: 20, position: 40, tokens: 30),
    Self(heads: 8, kvHeads: 8, headSize: 8, position: 0, tokens: 70),
    Self(heads: 9, kvHeads: 3, headSize: 64, position: 127, tokens: 2),
    Self(heads: 3, kvHeads: 1, headSize: 16, position: 400, tokens: 2, spread: 0.25),
    Self(heads: 14, kvHeads: 1, headSize: 80, position: 191, tokens: 1),
    Self(heads: 2, kvHeads: 2, headSize: 128, position: 300, tokens: 1, spread: 60),
    Self(heads: 1, kvHeads: 1, headSize: 512, position: 100, tokens: 3, spread: 60),
    Self(heads: 4, kvHeads: 2, headSize: 24, position: 509, tokens: 6),
    Self(heads: 3, kvHeads: 3, headSize: 128, position: 1600, tokens: 1, spread: 30),
    Self(heads: 6, kvHeads: 1, headSize: 100, position: 1023, tokens: 3),
  ]

  func queries() -> [Float] {
    var random = SeededRandom(seed: 20)
    return random.floats(tokens * heads * headSize, in: -2...2)
  }

  func keysAndValues() -> (k: [Float], v: [Float]) {
    var random = SeededRandom(seed: 21)
    let count = (position + tokens) * kvHeads * headSize
    return (random.floats(count, in: -2...2), random.floats(count, in: 0...1))
  }

  func cache(_ format: CacheFormat) -> KVCacheBlocks {
    let cache = KVCacheBlocks(format, kvHeads: kvHeads, headSize: headSize, positions: position + tokens)
    let (k, v) = keysAndValues()
    cache.fill(k: k, v: v, at: 0)
    return cache
  }
}

@Suite("attention")
struct AttentionTests {
  @Test("agrees with float64", arguments: KernelSet.allCases, CacheFormat.allCases)
  func agreesWithFloat64(set: KernelSet, format: CacheFormat) throws {
    for test in AttentionCase.ragged {
      let cache = test.cache(format)

      let out = cache.attend(
        try set.compute(), q: test.queries(), at: test.position, heads: test.heads, scale: test.scale)

      let error = worstError(out, test, cache)
      #expect(error <= 1, "\(test.testDescription)")
      #expect(out.last?.bitPattern == untouched.bitPattern)
    }
  }

  /// The largest |out - exact| / tolerance.
  ///
  /// A score is a sum of headSize + 3 rounded terms, relative to its sum of magnitudes; subtracting the maximum, of the
  /// chunk and of all, rounds twice more; the exponential is off by 4 half ulps, and the scale of int8 rounds once.
  /// These are relative errors of a weight, and weights stand above and below the fraction; so do the sum over `seen`
  /// of them and one rescaling for each step and chunk, off by 5 half ulps. (An error of the maximum itself cancels.)
  /// Rounding errors of n terms add up like a random walk, to no
  /// more than 5 sqrt(n) half ulps but for one in a million (Higham & Mary 2019).
  private func worstError(_ out: [Float], _ test: AttentionCase, _ cache: KVCacheBlocks) -> Double {
    let q = test.queries().map(Double.init)
    let (k, v) = test.keysAndValues()
    let (keys, values) = (cache.stored(k), cache.stored(v))
    let (size, group) = (test.headSize, test.heads / test.kvHeads)
    var worst = 0.0
    for (t, h) in (0..<test.tokens).flatMap({ t in (0..<test.heads).map { (t, $0) } }) {
      let seen = test.position + t + 1
      let query = (t * test.heads + h) * size
      var (scores, magnitude) = ([Double](), 0.0)
      for p in 0..<seen {
        let key = (p * test.kvHeads + h / group) * size
        let terms = (0..<size).map { q[query + $0] * keys[key + $0] * Double(test.scale) }
        scores.append(terms.reduce(0, +))
        magnitude = max(magnitude, terms.reduce(0) { $0 + abs($1) })
      }
      let largest = scores.reduce(-.infinity, max)
      let weights = scores.map { exp($0 - largest) }
      let sum = weights.reduce(0, +)
      let inScores = 5 * Double(size + 5).squareRoot() * halfULP * magnitude
      let rescalings = Double(seen / XVK_ATTENTION_STEP + seen / XVK_ATTENTION_CHUNK)
      let inSums = (5 + 5 * Double(seen + 1).squareRoot() + 5 * rescalings) * halfULP
      for d in 0..<size {
        let terms = (0..<seen).map { weights[$0] / sum * values[($0 * test.kvHeads + h / group) * size + d] }
        // Not 0, should int8 have rounded every value to 0: the result is then exact.
        let tolerance = max(2 * (inScores + inSums) * terms.reduce(0) { $0 + abs($1) }, .leastNonzeroMagnitude)
        let error = abs(Double(out[query + d]) - terms.reduce(0, +)) / tolerance
        worst = error <= worst ? worst : error.isNaN ? .infinity : error
      }
    }
    return worst
  }

  @Test("gives a token the same bits alone and among others", arguments: KernelSet.allCases, CacheFormat.allCases)
  func ignoresOtherTokens(set: KernelSet, format: CacheFormat) throws {
    let compute = try set.compute()
    for test in AttentionCase.ragged where test.tokens > 1 {
      let cache = test.cache(format)
      let (q, row) = (test.queries(), test.heads * test.headSize)
      let together = cache.attend(compute, q: q, at: test.position, heads: test.heads, scale: test.scale)

      let oneByOne = (0..<test.tokens).flatMap { t in
        cache.attend(
          compute, q: Array(q[t * row..<(t + 1) * row]), at: test.position + t, heads: test.heads, scale: test.scale
        ).dropLast()
      }

      #expect(sameBits(together.dropLast(), oneByOne), "\(test.testDescription)")
    }
  }

  @Test("gives the same bits chunk by chunk as in one go", arguments: KernelSet.allCases, CacheFormat.allCases)
  func ignoresSplit(set: KernelSet, format: CacheFormat) throws {
    let (one, many) = (try set.compute(), try set.compute(threads: 7))
    let cases = [
      AttentionCase(heads: 3, kvHeads: 3, headSize: 40, position: 2500, tokens: 1),
      AttentionCase(heads: 8, kvHeads: 2, headSize: 33, position: 3070, tokens: 3),
    ]
    for test in cases {
      let (heads, kvHeads, size) = (Int64(test.heads), Int64(test.kvHeads), Int64(test.headSize))
      let scratch = withUnsafePointer(to: many) {
        xvk_attention_scratch($0, Int64(test.position + test.tokens), Int64(test.tokens), heads, kvHeads, size)
      }
      #expect(scratch > 0, "the case is not split")
      let (cache, q) = (test.cache(format), test.queries())

      let whole = cache.attend(one, q: q, at: test.position, heads: test.heads, scale: test.scale)
      let split = cache.attend(many, q: q, at: test.position, heads: test.heads, scale: test.scale)

      #expect(sameBits(whole, split), "\(test.testDescription)")
    }
  }

  @Test("gives the same bits on any number of threads", arguments: KernelSet.allCases, CacheFormat.allCases)
  func ignoresThreads(set: KernelSet, format: CacheFormat) throws {
    let cases = [
      AttentionCase(heads: 5, kvHeads: 5, headSize: 40, position: 30, tokens: 150),
      AttentionCase(heads: 9, kvHeads: 3, headSize: 64, position: 600, tokens: 1),
      AttentionCase(heads: 12, kvHeads: 1, headSize: 64, position: 100, tokens: 17),
    ]
    for test in cases {
      let (cache, q) = (test.cache(format), test.queries())

      let results = try [Int32]([1, 2, 3]).map {
        cache.attend(try set.compute(threads: $0), q: q, at: test.position, heads: test.heads, scale: test.scale)
      }

      #expect(sameBits(results[0], results[1]) && sameBits(results[0], results[2]), "\(test.testDescription)")
    }
  }

  @Test("reads nothing behind a query's own position", arguments: KernelSet.allCases, CacheFormat.allCases)
  func hidesLaterPositions(set: KernelSet, format: CacheFormat) throws {
    let test = AttentionCase(heads: 4, kvHeads: 2, headSize: 12, position: 50, tokens: 40)
    let (cache, changed) = (test.cache(format), test.cache(format))
    let later = [Float](repeating: .nan, count: 20 * 2 * 12)
    changed.fill(k: later, v: later, at: 70)

    let out = cache.attend(try set.compute(), q: test.queries(), at: 50, heads: 4, scale: test.scale)
    let outOfChanged = changed.attend(try set.compute(), q: test.queries(), at: 50, heads: 4, scale: test.scale)

    // The queries at 50 ... 69 come before the first changed position.
    #expect(sameBits(Array(out[..<(20 * 48)]), Array(outOfChanged[..<(20 * 48)])))
    #expect(out.dropLast().allSatisfy { $0.isFinite })
    #expect(outOfChanged[(20 * 48)...].dropLast().allSatisfy { $0.isNaN })
  }

  @Test("copies the only value when one position is seen", arguments: KernelSet.allCases)
  func copiesOnlyValue(set: KernelSet) throws {
    let test = AttentionCase(heads: 3, kvHeads: 3, headSize: 10, position: 0, tokens: 1)

    let out = test.cache(.float32).attend(try set.compute(), q: test.queries(), at: 0, heads: 3, scale: test.scale)

    #expect(sameBits(out.dropLast(), test.keysAndValues().v))
  }
}

extension Array where Element == Float {
  fileprivate func dropLast() -> [Float] { Array(self[..<(count - 1)]) }
}
