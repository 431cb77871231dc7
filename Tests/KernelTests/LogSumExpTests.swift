// LogSumExpTests.swift -- the logarithm of a sum of exponentials.

import CXverseKernels
import Foundation
import TestSupport
import Testing

@Suite("logsumexp_f32")
struct LogSumExpTests {
  private func logSumExp(_ compute: xvk_compute, _ x: [Float]) throws -> Double {
    let x = try StoredNumbers(x, as: .float32)
    return withUnsafePointer(to: compute) { xvk_logsumexp($0, x.floats, Int64(x.values.count)) }
  }

  @Test("agrees with float64", arguments: KernelSet.allCases, [1, 7, 8, 33, 172, 5003])
  func agreesWithFloat64(set: KernelSet, count: Int) throws {
    var random = SeededRandom(seed: 18)
    let x = random.floats(count, in: -30...30)

    let result = try logSumExp(try set.compute(), x)

    let exact = log(x.reduce(0.0) { $0 + exp(Double($1)) })
    // x - max may round by half an ulp of 60, which is 2^-19; its exponential by 2 ulp. These are relative errors of
    // the sum, so they are absolute ones of its logarithm.
    #expect(abs(result - exact) <= 0x1p-19 + 0x1p-22)
  }

  @Test("is exact for one element and does not overflow", arguments: KernelSet.allCases)
  func survivesExtremes(set: KernelSet) throws {
    let inputs: [[Float]] = [[-3.25], [3e38, 3e38], [-3e38] + [Float](repeating: -.infinity, count: 20)]

    let results = try inputs.map { try logSumExp(try set.compute(), $0) }

    #expect(results == [-3.25, Double(Float(3e38)) + log(2), Double(Float(-3e38))])
  }

  @Test("passes on infinities and NaN", arguments: KernelSet.allCases, [1, 5, 8, 20])
  func passesOnSpecialValues(set: KernelSet, count: Int) throws {
    let rest = [Float](repeating: -.infinity, count: count)
    let inputs = [rest, rest + [.infinity], rest + [.nan], [.nan] + rest, [Float](repeating: .nan, count: count)]

    let results = try inputs.map { try logSumExp(try set.compute(), $0) }

    #expect(results[0] == -.infinity && results[1] == .infinity)
    #expect(results[2...].allSatisfy { $0.isNaN })
  }
}
