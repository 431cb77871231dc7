// AddTests.swift -- x += y.

import CXverseKernels
import TestSupport
import Testing

@Suite("add_f32")
struct AddTests {
  @Test("adds element by element on any number of threads", arguments: KernelSet.allCases, [1, 7, 33, 1025, 100_001])
  func addsElements(set: KernelSet, count: Int) throws {
    let x = try StoredNumbers(random: count, as: .float32, seed: 16)
    let y = try StoredNumbers(random: count, as: .float32, seed: 17)
    let expected = zip(x.values, y.values).map { $0 + $1 } + [untouched]
    for threads: Int32 in [1, 2, 3] {
      var sum = x.values + [untouched]

      withUnsafePointer(to: try set.compute(threads: threads)) { xvk_add($0, &sum, y.floats, Int64(count)) }

      #expect(sameBits(sum, expected), "\(threads) threads")
    }
  }
}
