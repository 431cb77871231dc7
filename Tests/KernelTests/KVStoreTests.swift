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

        #expect(stored.bytes == expected.bytes, "\(test.testDescription), \(threads) threads")
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

    #expect(cache.bytes == expected.bytes)
  }

  @Test("keeps NaN", arguments: KernelSet.allCases)
  func keepsNaN(set: KernelSet) throws {
    let cache = KVCacheBlocks(.float16, kvHeads: 1, headSize: 8, positions: 64)
    let numbers = [Float](repeating: Float(bitPattern: 0x7F80_0001), count: 8 * 64)

    cache.store(try set.compute(), k: numbers, v: numbers, at: 0)

    let halves = cache.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float16.self)) }
    #expect(halves.allSatisfy { $0.isNaN })
  }

  @Test("int8 is off by half a step of its own vector at most")
  func roundsToNearestStep() {
    var random = SeededRandom(seed: 23)
    let headSize = 48
    let cache = KVCacheBlocks(.int8, kvHeads: 1, headSize: headSize, positions: 1)
    for exponent in [-90, -20, 0, 20, 120] {
      let numbers = random.floats(headSize, in: -1...1).map { Float(sign: .plus, exponent: exponent, significand: $0) }
      let largest = Double(numbers.map(\.magnitude).max() ?? 0)
      // In steps: a code, at most 127, comes from 2 roundings of half an ulp each, and the scale has one of its own.
      let tolerance = largest / 127 * (0.5 + 3 * 127 * halfULP)

      let error = zip(cache.stored(numbers), numbers).map { abs($0 - Double($1)) }.max() ?? .infinity

      #expect(error <= tolerance, "2^\(exponent)")
    }
  }

  // The kernels store what Int8Vector says, whose error the test above bounds.
  @Test("int8 stores a vector without regard to others, whatever is in it", arguments: KernelSet.allCases)
  func storesVectorsAlone(set: KernelSet) throws {
    var random = SeededRandom(seed: 24)
    let headSize = 20
    var vectors = (0..<9).map { _ in random.floats(headSize, in: -3...3) }
    vectors[1][7] = .nan
    vectors[2][19] = -.infinity
    vectors[3] = [Float](repeating: 0, count: headSize)
    vectors[4] = vectors[4].map { $0 * 0x1p-110 }
    vectors[5] = vectors[5].map { $0 * 0x1p-140 }
    vectors[6] = vectors[6].map { $0 * 0x1p126 }
    vectors[7] = [-.greatestFiniteMagnitude] + vectors[7].dropFirst()
    vectors[8] = (0..<headSize).map { Float($0) * 0.5 }  // half steps, once divided by 127 / 127
    vectors[8][0] = 127
    let (k, v) = (vectors.flatMap { $0 }, vectors.reversed().flatMap { $0 })
    let expected = KVCacheBlocks(.int8, kvHeads: 1, headSize: headSize, positions: 70)
    expected.fill(k: k, v: v, at: 60)
    let (together, oneByOne) = (
      KVCacheBlocks(.int8, kvHeads: 1, headSize: headSize, positions: 70),
      KVCacheBlocks(.int8, kvHeads: 1, headSize: headSize, positions: 70)
    )

    together.store(try set.compute(), k: k, v: v, at: 60)
    for i in vectors.indices {
      oneByOne.store(try set.compute(), k: vectors[i], v: vectors.reversed()[i], at: 60 + i)
    }

    #expect(together.bytes == expected.bytes)
    #expect(oneByOne.bytes == expected.bytes)
  }
}
