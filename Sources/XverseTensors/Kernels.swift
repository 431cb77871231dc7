// Kernels.swift -- which kernels run and on how many threads. Kernels+Operations.swift calls them.

import CXverseKernels
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

  package let instructionSet: InstructionSet
  package var threadCount: Int { Int(compute.threads) }
  let compute: xvk_compute

  /// The same kernels on the calling thread alone, without OpenMP: for the host's threads.
  package var serial: Kernels { Kernels(self, threadCount: 1) }

  private init(_ kernels: Kernels, threadCount: Int32) {
    instructionSet = kernels.instructionSet
    compute = xvk_compute(table: kernels.compute.table, threads: threadCount, reserved: 0)
  }

  /// - Parameters:
  ///   - instructionSet: nil for the fastest of this CPU.
  ///   - threadCount: 1 ... 1024.
  package init(instructionSet: InstructionSet? = nil, threadCount: Int) throws(XverseError) {
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
    compute = xvk_compute(table: table, threads: Int32(threadCount), reserved: 0)
  }

  /// Runs `body` with `context`. The other threads are there until it ends and share the work of the kernels that it calls:
  /// cheaper than to fork and join in each.
  package func together<Context: AnyObject>(
    _ context: Context, _ body: @convention(c) (_ context: UnsafeMutableRawPointer?) -> Void
  ) {
    withExtendedLifetime(context) {
      withCompute { xvk_together($0, body, Unmanaged.passUnretained(context).toOpaque()) }
    }
  }

  /// 0 when `together` can start its threads now, else an errno: OpenMP ends the process when it cannot.
  package var startError: Int32 { xvk_start_error(compute.threads) }

  /// Prepares the linked BLAS, once a process; returns what it calls itself.
  @discardableResult
  package static func prepareBLAS() -> String { String(cString: xvk_blas_prepare()) }

  /// Processors that this process may use.
  package static var processorCount: Int { min(max(1, Int(xvk_processor_count())), 1024) }

  /// The commit that the kernels were built from, or "unknown", and the compiler that built them.
  package static var buildCommit: String { String(cString: xvk_build_commit()) }
  package static var buildCompiler: String { String(cString: xvk_build_compiler()) }

  package static var hasOpenMP: Bool { xvk_has_openmp() != 0 }
}

extension Kernels.InstructionSet {
  /// The fastest set of this CPU; every CPU has the reference kernels.
  package static var fastest: Self { Self(rawValue: xvk_best_isa()) ?? .reference }
}
