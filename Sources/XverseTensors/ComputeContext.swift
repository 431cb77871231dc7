// ComputeContext.swift -- what work on the weights of a whole model (loading, quantizing, writing) needs from the
// outside: it runs without a runtime.

import XverseCore

/// Kernels, memory, a thread to compute on, a log, and where to report progress.
package struct ComputeContext {
  /// Runs kernels on the thread that may use several, and returns when they are done.
  package typealias Executor = (_ body: () -> Void) -> Void
  /// Called again and again with the work done of the total in a phase; throws to end it.
  package typealias Report = (_ phase: StaticString, _ done: Int, _ total: Int) throws(XverseError) -> Void

  package let kernels: Kernels
  package let allocator: MemoryAllocator
  package let log: Log
  /// What reports are about.
  private let phase: StaticString
  private let report: Report
  private let executor: Executor
  private let cancellation: Cancellation?

  package init(
    kernels: Kernels, allocator: MemoryAllocator, log: Log = Log(), executor: @escaping Executor = { $0() },
    cancellation: Cancellation? = nil, phase: StaticString = "load",
    report: @escaping Report = { (_, _, _) throws(XverseError) in }
  ) {
    self.kernels = kernels
    self.allocator = allocator
    self.log = log
    self.executor = executor
    self.phase = phase
    self.report = report
    self.cancellation = cancellation
  }

  /// The same without reports.
  package var silent: ComputeContext {
    ComputeContext(kernels: kernels, allocator: allocator, log: log, executor: executor, cancellation: cancellation)
  }

  /// The same with reports of another phase.
  package func phase(_ phase: StaticString) -> ComputeContext {
    ComputeContext(
      kernels: kernels, allocator: allocator, log: log, executor: executor, cancellation: cancellation, phase: phase,
      report: report)
  }

  /// Reports work done; throws when it should end.
  package func progress(_ done: Int, _ total: Int) throws(XverseError) {
    try check()
    try report(phase, done, total)
  }

  /// Throws when the work should end.
  package func check() throws(XverseError) { try cancellation.check() }

  /// Runs `body` on the compute thread.
  package func compute<Value>(_ body: () throws(XverseError) -> Value) throws(XverseError) -> Value {
    try check()
    var result: Result<Value, XverseError>?
    executor {
      do throws(XverseError) {
        result = .success(try body())
      } catch {
        result = .failure(error)
      }
    }
    guard let result else { throw XverseError(.internal, "the compute thread did not run the work") }
    return try result.get()
  }
}
