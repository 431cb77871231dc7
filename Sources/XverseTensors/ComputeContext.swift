// ComputeContext.swift -- what work on the weights of a whole model, such as quantizing them, needs of the runtime that it
// happens in.

import XverseCore

/// Kernels, memory, the thread to compute on, and whom to tell.
package struct ComputeContext {
  /// Runs kernels on the thread that may use several, and returns when they are done.
  package typealias Executor = (_ body: () -> Void) -> Void
  /// Called again and again with the work done of the total; throws to end it.
  package typealias Progress = (_ done: Int, _ total: Int) throws(XverseError) -> Void

  package let kernels: Kernels
  package let allocator: MemoryAllocator
  private let report: Progress
  private let executor: Executor
  private let cancellation: Cancellation?

  package init(
    kernels: Kernels, allocator: MemoryAllocator, executor: @escaping Executor, cancellation: Cancellation?,
    progress report: @escaping Progress
  ) {
    self.kernels = kernels
    self.allocator = allocator
    self.executor = executor
    self.report = report
    self.cancellation = cancellation
  }

  /// The same without reports, which are looked at for their errors only.
  package var silent: ComputeContext {
    ComputeContext(kernels: kernels, allocator: allocator, executor: executor, cancellation: cancellation) {
      (_, _) throws(XverseError) in
    }
  }

  /// Reports work done; throws when it should end.
  package func progress(_ done: Int, _ total: Int) throws(XverseError) {
    try check()
    try report(done, total)
  }

  /// Throws when the work should end.
  package func check() throws(XverseError) { try cancellation?.check() }

  /// Runs `body` on the compute thread.
  package func compute<Value>(_ body: () throws(XverseError) -> Value) throws(XverseError) -> Value {
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
