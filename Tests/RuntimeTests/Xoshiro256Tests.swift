// Xoshiro256Tests.swift -- the random numbers, against the published generator.

import Testing

@testable import XverseRuntime

@Suite("Xoshiro256")
struct Xoshiro256Tests {
  @Test("agrees with the reference implementation of xoshiro256**")
  func agreesWithReference() {
    var random = Xoshiro256(state: (1, 2, 3, 4))

    let numbers = (0..<5).map { _ in random.next() }

    #expect(numbers == [11520, 0, 1_509_978_240, 1_215_971_899_390_074_240, 1_216_172_134_540_287_360])
  }

  @Test("a seed fills the state by SplitMix64")
  func seeds() {
    var random = Xoshiro256(seed: 42)

    let numbers = (0..<3).map { _ in random.next() }

    #expect(numbers == [0x1578_0B2E_0C2E_C716, 0x6104_D986_6D11_3A7E, 0xAE17_5332_39E4_99A1])
  }

  @Test("uniform numbers are in [0, 1) and take 53 bits")
  func isUniform() {
    var random = Xoshiro256(seed: 42)

    #expect(random.uniform() == 0.08386297105988216)
    #expect((0..<1000).allSatisfy { _ in (0..<1).contains(random.uniform()) })
  }
}
