// Kernels.swift -- which kernels run and on how many threads. Kernels+Operations.swift calls them.

import CXverseKernels
import Glibc
import XverseCore

/// A set of kernels for one instruction set, and the number of threads they use. A plain value.
package struct Kernels: @unchecked Sendable {
  package enum InstructionSet: Int32, CaseIterable, Sendable {
    case reference = 0
    case avx2 = 1
    case avxvnni = 2
    case avx512 = 3
    case neon = 4

    package var name: String { xvk_isa_name(rawValue).map { String(cString: $0) } ?? "unknown" }

    package var isBuilt: Bool { xvk_isa_is_built(rawValue) != 0 }

    /// Whether this build has the kernels and this CPU can run them.
    package var isAvailable: Bool { xvk_table_for(rawValue) != nil }
  }

  /// Who starts the threads that help the one that computes; what they do is the same.
  package enum Threading: Int32, Sendable {
    case pthread = 0
    case openmp = 1

    package var name: String { self == .openmp ? "OpenMP" : "pthreads" }

    /// Who should start `threadCount` threads here and now, and a clause that says why: OpenMP's runtime ends the process
    /// where something in it is amiss.
    package static func suitable(threadCount: Int) -> (threading: Self, reason: String) {
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { reason in
        reason.initialize(repeating: 0)
        guard let text = reason.baseAddress else { return (.pthread, "") }
        let threading = Self(rawValue: xvk_threading_for(Int32(clamping: threadCount), text, reason.count))
        return (threading ?? .pthread, String(cString: text))
      }
    }
  }

  package let instructionSet: InstructionSet
  package var threading: Threading { Threading(rawValue: compute.threading) ?? .pthread }
  package var threadCount: Int { Int(compute.threads) }
  let compute: xvk_compute

  /// The same kernels on the calling thread alone: for the host's threads.
  package var serial: Kernels { Kernels(self, threadCount: 1) }

  private init(_ kernels: Kernels, threadCount: Int32) {
    instructionSet = kernels.instructionSet
    compute = xvk_compute(table: kernels.compute.table, threads: threadCount, threading: 0)
  }

  /// - Parameters:
  ///   - instructionSet: nil for the fastest of this CPU.
  ///   - threadCount: 1 ... 1024.
  package init(
    instructionSet: InstructionSet? = nil, threadCount: Int, threading: Threading = .pthread
  ) throws(XverseError) {
    let chosen = instructionSet ?? .fastest
    guard let table = xvk_table_for(chosen.rawValue) else {
      throw .unsupported(
        "isa is '\(chosen.name)', which this CPU or build lacks; expected one of "
          + InstructionSet.allCases.filter(\.isAvailable).map(\.name).joined(separator: ", "))
    }
    guard (1...1024).contains(threadCount) else {
      throw .range("threads is \(threadCount), expected 1 to 1024")
    }
    self.instructionSet = chosen
    compute = xvk_compute(table: table, threads: Int32(threadCount), threading: threading.rawValue)
  }

  /// Runs `body` with `context`. The other threads are there until it ends and share the work of the kernels that it calls:
  /// cheaper than to fork and join in each.
  ///
  /// - Returns: 0, or the errno of threads that could not be started: `body` did not run.
  package func together<Context: AnyObject>(
    _ context: Context, _ body: @convention(c) (_ context: UnsafeMutableRawPointer?) -> Void
  ) -> Int32 {
    withExtendedLifetime(context) {
      withCompute { xvk_together($0, body, Unmanaged.passUnretained(context).toOpaque()) }
    }
  }

  /// Loads OpenBLAS, which quantization with a calibration text needs.
  ///
  /// - Throws: `unsupported` when it is not installed, `outOfMemory`.
  package func loadBLAS() throws(XverseError) {
    let error = xvk_blas_load(compute.threads)
    if error == ENOENT {
      throw .unsupported("option 'calibration' needs OpenBLAS, and libopenblas.so.0 is not installed")
    }
    if error != 0 {
      throw XverseError(
        .outOfMemory, "option 'calibration' needs OpenBLAS, for which memory or threads are too few in this process")
    }
  }

  /// Names the calling thread, and with it those that it starts.
  package static func nameThisThread(_ name: String) { xvk_name_thread(name) }

  /// While the process exits: lets it end without the destructors of libraries, under threads that compute on.
  package static func leaveAfterHandlers() { xvk_leave_after_handlers() }

  /// The commit that the kernels were built from, or "unknown", and the compiler that built them.
  package static var buildCommit: String { String(cString: xvk_build_commit()) }
  package static var buildCompiler: String { String(cString: xvk_build_compiler()) }

  package static var hasOpenMP: Bool { xvk_has_openmp() != 0 }
}

extension Kernels.InstructionSet {
  /// The fastest set of this CPU; every CPU has the reference kernels.
  package static var fastest: Self { Self(rawValue: xvk_best_isa()) ?? .reference }
}
