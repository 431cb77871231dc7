// KernelSet.swift -- which kernels a test case runs, and how many threads.

import CXverseKernels
import Testing

/// The kernels of one instruction set.
enum KernelSet: Int32, CaseIterable, CustomTestStringConvertible {
  case reference = 0
  case avx2 = 1
  case avxvnni = 2
  case avx512 = 3
  case neon = 4

  /// All but the one that defines the meaning.
  static let optimized = allCases.filter { $0 != .reference }

  var testDescription: String { "\(self)" }

  /// How drivers run these kernels; cancels the test case where the CPU lacks them.
  func compute(threads: Int32 = 1, threading: Int = XVK_PTHREAD) throws -> xvk_compute {
    guard let table = xvk_table_for(rawValue) else {
      try Test.cancel("this CPU cannot run the \(self) kernels")
    }
    return xvk_compute(table: table, threads: threads, threading: Int32(threading))
  }
}

/// Whether two arrays hold the same bits; NaN equals itself, 0 does not equal -0.
func sameBits(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Bool {
  a.map(\.bitPattern) == b.map(\.bitPattern)
}

/// The rounding error of one float32 operation, relative to its result.
let halfULP = 0x1p-24

/// What fills memory that a kernel must not write: a value that no computation here gives.
let untouched = Float(bitPattern: 0x7FC1_2345)
