// RoPETests.swift -- turning pairs of a head, half-split.

import CXverseKernels
import TestSupport
import Testing

@Suite("rope_f32")
struct RoPETests {
  @Test("turns pairs half a head apart, with float32 rounding", arguments: KernelSet.allCases, [2, 8, 14, 64, 80])
  func turnsPairs(set: KernelSet, headSize: Int) throws {
    let (tokens, heads, half) = (3, 5, headSize / 2)
    let x = try StoredNumbers(random: tokens * heads * headSize, as: .float32, seed: 9).values
    let cosines = try StoredNumbers(random: tokens * half, as: .float32, seed: 10)
    let sines = try StoredNumbers(random: tokens * half, as: .float32, seed: 11)
    var y = x + [untouched]

    withUnsafePointer(to: try set.compute(threads: 2)) {
      xvk_rope($0, &y, cosines.floats, sines.floats, Int64(tokens), Int64(heads), Int64(headSize))
    }

    var expected = x + [untouched]
    for (t, h, j) in (0..<tokens).flatMap({ t in (0..<heads).flatMap { h in (0..<half).map { (t, h, $0) } } }) {
      let low = (t * heads + h) * headSize + j
      let (cos, sin) = (cosines.values[t * half + j], sines.values[t * half + j])
      expected[low] = x[low] * cos - x[low + half] * sin
      expected[low + half] = x[low + half] * cos + x[low] * sin
    }
    #expect(sameBits(y, expected))
  }

  @Test("gives the same bits on any number of threads", arguments: KernelSet.allCases)
  func ignoresThreads(set: KernelSet) throws {
    let x = try StoredNumbers(random: 101 * 8 * 64, as: .float32, seed: 12).values
    let angles = try StoredNumbers(random: 101 * 32, as: .float32, seed: 13)

    let results = try [Int32]([1, 2, 3]).map { threads in
      var y = x
      withUnsafePointer(to: try set.compute(threads: threads)) {
        xvk_rope($0, &y, angles.floats, angles.floats, 101, 8, 64)
      }
      return y
    }

    #expect(sameBits(results[0], results[1]) && sameBits(results[0], results[2]))
  }
}
