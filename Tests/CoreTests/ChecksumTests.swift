// ChecksumTests.swift -- what a checksum must tell apart.

import TestSupport
import Testing
import XverseCore

private func sum(_ bytes: [UInt8], seed: UInt64 = 0) -> UInt64 { bytes.withUnsafeBytes { Checksum.of($0, seed: seed) } }

@Suite("Checksum")
struct ChecksumTests {
  @Test("every single changed byte changes it", arguments: [1, 7, 8, 9, 63, 64, 65, 200])
  func tellsBytes(count: Int) {
    var random = SeededRandom(seed: UInt64(count))
    let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    let expected = sum(bytes)
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << UInt8(bit)
        #expect(sum(changed) != expected, "bit \(bit) of byte \(index)")
      }
    }
  }

  @Test("two flipped bits in words of one lane do not make up for each other")
  func tellsPairs() {
    let bytes = [UInt8](repeating: 0, count: 256)
    for first in 0..<64 {
      for second in 0..<64 {
        var changed = bytes
        changed[first / 8] ^= 1 << UInt8(first % 8)
        changed[64 + second / 8] ^= 1 << UInt8(second % 8)
        #expect(sum(changed) != sum(bytes), "bits \(first) and \(second)")
      }
    }
  }

  @Test("the length and the order of words count, and so do pieces before")
  func tellsOrder() {
    #expect(sum([]) != sum([0]) && sum([0]) != sum([0, 0]))
    let words = (0..<32).map { UInt8($0) }
    #expect(sum(words) != sum(Array(words[8...] + words[..<8])))
    #expect(sum(words, seed: sum([1])) != sum(words, seed: sum([2])))
    #expect(sum([], seed: 1) != sum([], seed: 2))
  }

  /// Files hold these numbers: they never change.
  @Test("is the same on every machine")
  func isStable() {
    #expect(sum([]) == 0x701B_DD37_1D55_7BA1)
    #expect(sum((0..<100).map { UInt8($0) }) == 0xDD44_9CD7_3ED0_9924)
  }
}
