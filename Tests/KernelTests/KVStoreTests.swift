// KVStoreTests.swift -- writing keys and values into the blocks of a cache.

import CXverseKernels
import TestSupport
import Testing

@Suite("kv_store")
struct KVStoreTests {
  private struct Case: CustomTestStringConvertible {
    let kvHeads, headSize, position, tokens: Int
    var testDescription: String { "\(tokens) tokens at \(position), \(kvHeads) heads of \(headSize)" }
  }

  private static let cases = [
    Case(kvHeads: 1, headSize: 1, position: 0, tokens: 1), Case(kvHeads: 2, headSize: 7, position: 63, tokens: 2),
    Case(kvHeads: 3, headSize: 33, position: 60, tokens: 140), Case(kvHeads: 2, headSize: 80, position: 5, tokens: 1),
    Case(kvHeads: 4, headSize: 64, position: 128, tokens: 64), Case(kvHeads: 5, headSize: 16, position: 3, tokens: 400),
  ]

  @Test(
    "puts each number into its slot, rounded, and touches no other", arguments: KernelSet.allCases,
    CacheFormat.allCases)
  func putsNumbersIntoSlots(set: KernelSet, format: CacheFormat) throws {
    for test in Self.cases {
      var random = SeededRandom(seed: 19)
      let k = random.floats(test.tokens * test.kvHeads * test.headSize, in: -100...100)
      let v = random.floats(k.count, in: -100...100)
      func cache() -> KVCacheBlocks {
        KVCacheBlocks(
          format, kvHeads: test.kvHeads, headSize: test.headSize, positions: test.position + test.tokens + 70)
      }
      let expected = cache()
      expected.fill(k: k, v: v, at: test.position)
      for threads: Int32 in [1, 2, 3] {
        let stored = cache()

        stored.store(try set.compute(threads: threads), k: k, v: v, at: test.position)

        #expect(stored.bits == expected.bits, "\(test.testDescription), \(threads) threads")
      }
    }
  }

  @Test("rounds to f16 as IEEE 754 does", arguments: KernelSet.allCases)
  func roundsToNearestEven(set: KernelSet) throws {
    // Each f16, the middle between it and the next one, and the floats on both sides of either.
    let halves = stride(from: UInt16(0), to: 0x7C00, by: 3).map { Float(Float16(bitPattern: $0)) }
    let middles = stride(from: UInt16(0), to: 0x7BFF, by: 3).map {
      (Float(Float16(bitPattern: $0)) + Float(Float16(bitPattern: $0 + 1))) / 2
    }
    let edges: [Float] = [65519.996, 65520, 1e30, 0x1p-25, 0x1p-140]
    let positive = (halves + middles + edges).flatMap { [$0.nextDown, $0, $0.nextUp] }
    var numbers = positive + positive.map { -$0 } + [.infinity, -.infinity]
    numbers += [Float](repeating: 0, count: (64 - numbers.count % 64) % 64)
    let cache = KVCacheBlocks(.float16, kvHeads: 1, headSize: 64, positions: numbers.count / 64)
    let expected = KVCacheBlocks(.float16, kvHeads: 1, headSize: 64, positions: numbers.count / 64)
    expected.fill(k: numbers, v: numbers, at: 0)

    cache.store(try set.compute(), k: numbers, v: numbers, at: 0)

    #expect(cache.bits == expected.bits)
  }

  @Test("keeps NaN", arguments: KernelSet.allCases)
  func keepsNaN(set: KernelSet) throws {
    let cache = KVCacheBlocks(.float16, kvHeads: 1, headSize: 8, positions: 8)
    let numbers = [Float](repeating: Float(bitPattern: 0x7F80_0001), count: 64)
    cache.fill(k: [Float](repeating: 0, count: 64), v: [Float](repeating: 0, count: 64), at: 0)

    cache.store(try set.compute(), k: numbers, v: numbers, at: 0)

    #expect(cache.bits.allSatisfy { Float16(bitPattern: UInt16($0)).isNaN })
  }
}
