// RMSNormTests.swift -- y = weight * (x / sqrt(mean of x^2 + epsilon)).

import CXverseKernels
import TestSupport
import Testing

@Suite("rmsnorm_f32")
struct RMSNormTests {
  private func norm(_ compute: xvk_compute, _ x: StoredNumbers, _ weight: StoredNumbers, tokens: Int) -> [Float] {
    let size = weight.values.count
    var y = [Float](repeating: untouched, count: tokens * size + 1)
    withUnsafePointer(to: compute) {
      xvk_rmsnorm($0, &y, x.floats, weight.floats, Int64(tokens), Int64(size), 1e-6)
    }
    return y
  }

  @Test("agrees with float64", arguments: KernelSet.allCases, [1, 7, 33, 172, 2048])
  func agreesWithFloat64(set: KernelSet, size: Int) throws {
    let x = try StoredNumbers(random: 3 * size, as: .float32, seed: 5)
    let weight = try StoredNumbers(random: size, as: .float32, seed: 6)

    let y = norm(try set.compute(), x, weight, tokens: 3)

    for t in 0..<3 {
      let row = x.values[t * size..<(t + 1) * size].map(Double.init)
      let scale = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(size) + Double(Float(1e-6))).squareRoot()
      for i in 0..<size {
        let exact = Double(weight.values[i]) * row[i] * scale
        // Rounded: the mean and its sum with epsilon (each halved by the root), root, quotient and two products.
        #expect(abs(Double(y[t * size + i]) - exact) <= 5.01 * halfULP * abs(exact))
      }
    }
    #expect(y.last?.bitPattern == untouched.bitPattern)
  }

  @Test("gives the same bits on any number of threads and in place", arguments: KernelSet.allCases)
  func ignoresThreads(set: KernelSet) throws {
    let x = try StoredNumbers(random: 101 * 500, as: .float32, seed: 7)
    let weight = try StoredNumbers(random: 500, as: .float32, seed: 8)
    let alone = norm(try set.compute(), x, weight, tokens: 101)

    let three = norm(try set.compute(threads: 3), x, weight, tokens: 101)
    var inPlace = x.values + [untouched]
    withUnsafePointer(to: try set.compute()) { compute in
      inPlace.withUnsafeMutableBufferPointer {
        xvk_rmsnorm(compute, $0.baseAddress, $0.baseAddress, weight.floats, 101, 500, 1e-6)
      }
    }

    #expect(sameBits(alone, three))
    #expect(sameBits(alone, inPlace))
  }
}
