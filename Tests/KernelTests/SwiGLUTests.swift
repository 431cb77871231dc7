// SwiGLUTests.swift -- y = silu(gate) * up, and through it the exponential of the vector kernels.

import CXverseKernels
import Foundation
import TestSupport
import Testing

@Suite("swiglu_f32")
struct SwiGLUTests {
  private func swiglu(_ compute: xvk_compute, gateUp: [Float], tokens: Int) throws -> [Float] {
    let size = gateUp.count / tokens / 2
    let input = try StoredNumbers(gateUp, as: .float32)
    var y = [Float](repeating: untouched, count: tokens * size + 1)
    withUnsafePointer(to: compute) { xvk_swiglu($0, &y, input.floats, Int64(tokens), Int64(size)) }
    #expect(y.last?.bitPattern == untouched.bitPattern)
    return y.dropLast()
  }

  @Test("agrees with float64 for gates from -86 to 100", arguments: KernelSet.allCases)
  func agreesWithFloat64(set: KernelSet) throws {
    let gates = (0...186_000).map { Float($0) / 1000 - 86 }

    let y = try swiglu(try set.compute(), gateUp: gates + [Float](repeating: 1.5, count: gates.count), tokens: 1)

    for (gate, y) in zip(gates, y) {
      let exact = Double(gate) / (1 + exp(-Double(gate))) * 1.5
      // The exponential is off by at most 2 ulp = 4 half ulp; sum, quotient and product round once each.
      #expect(abs(Double(y) - exact) <= 7.01 * halfULP * abs(exact))
    }
  }

  @Test("agrees with float64 at ragged sizes", arguments: KernelSet.allCases, [1, 7, 8, 33, 172])
  func agreesAtRaggedSizes(set: KernelSet, size: Int) throws {
    var random = SeededRandom(seed: 14)
    let gateUp = random.floats(3 * 2 * size, in: -8...8)

    let y = try swiglu(try set.compute(), gateUp: gateUp, tokens: 3)

    for t in 0..<3 {
      for i in 0..<size {
        let gate = Double(gateUp[2 * t * size + i])
        let exact = gate / (1 + exp(-gate)) * Double(gateUp[(2 * t + 1) * size + i])
        #expect(abs(Double(y[t * size + i]) - exact) <= 7.01 * halfULP * abs(exact))
      }
    }
  }

  @Test("stays finite where the exponential does not, and passes on NaN", arguments: KernelSet.allCases)
  func survivesExtremes(set: KernelSet) throws {
    let gates: [Float] = [-1e30, -200, -89, 89, 200, 1e30, .nan, 0]

    let y = try swiglu(try set.compute(), gateUp: gates + [Float](repeating: 1, count: 8), tokens: 1)

    #expect(y[0] == 0 && y[1] == 0 && abs(y[2]) < 1e-30)
    #expect(y[3...5].elementsEqual(gates[3...5]))
    #expect(y[6].isNaN && y[7] == 0)
  }

  @Test("gives the same bits on any number of threads", arguments: KernelSet.allCases)
  func ignoresThreads(set: KernelSet) throws {
    var random = SeededRandom(seed: 15)
    let gateUp = random.floats(41 * 2 * 333, in: -8...8)

    let results = try [Int32]([1, 2, 3]).map { try swiglu(try set.compute(threads: $0), gateUp: gateUp, tokens: 41) }

    #expect(sameBits(results[0], results[1]) && sameBits(results[0], results[2]))
  }
}
