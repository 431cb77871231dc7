// MachineProbes.swift -- what the machine can do, measured with as many threads as compute.

import CMachineLimits
import Glibc
import XverseCore
import XverseRuntime
import XverseTensors

/// What can bound a pass.
enum MachineLimit: String, CaseIterable {
  /// Reading memory: bytes a second.
  case memory
  /// Fused multiply-adds of f32: operations a second, as below.
  case f32
  /// OpenBLAS, which float products are compared with.
  case sgemm
  /// Products of 16 bits, as int8 weights need them.
  case s16
  /// Products of 8 bits, as weights of 4 bits need them.
  case s8

  /// The limit of products with weights of a type.
  static func arithmetic(_ dtype: DType) -> MachineLimit {
    switch dtype {
    case .float32, .float16, .bfloat16: .f32
    case .int8: .s16
    case .int4, .int4F16: .s8
    }
  }
}

struct MachineProbes {
  /// Bytes to read: far more than caches hold.
  private static let bytesRead = 1 << 30
  private static let repeats = 3

  private let runtime: Runtime

  init(_ runtime: Runtime) { self.runtime = runtime }

  /// Every limit on one thread and on all.
  func limits() -> [(limit: MachineLimit, single: Double, all: Double)] {
    MachineLimit.allCases.map { ($0, measure($0, threadCount: 1), measure($0)) }
  }

  /// One limit now; 0 for one that is not known of these kernels.
  func measure(_ limit: MachineLimit) -> Double { measure(limit, threadCount: runtime.kernels.threadCount) }

  private func measure(_ limit: MachineLimit, threadCount: Int) -> Double {
    let threads = Int32(threadCount)
    let repeats = Int32(Self.repeats)
    return switch limit {
    case .memory: ml_read_bandwidth(Self.bytesRead, threads, repeats)
    case .sgemm: ml_sgemm_peak(threads, repeats)
    case .f32: multiplierPeak(ML_F32, threads)
    case .s16: multiplierPeak(ML_S16, threads)
    case .s8: multiplierPeak(ML_S8, threads)
    }
  }

  private func multiplierPeak(_ numbers: Int, _ threads: Int32) -> Double {
    let instructions: Int
    switch runtime.kernels.instructionSet {
    case .avx2: instructions = ML_AVX2
    case .avxvnni: instructions = ML_AVXVNNI
    case .avx512: instructions = ML_AVX512
    case .reference, .neon: return 0
    }
    return ml_multiplier_peak(Int32(numbers), Int32(instructions), threads, Int32(Self.repeats))
  }
}
