// BlockingWork.swift -- threads for calls that take long, apart from those that Swift's tasks share.

import Dispatch

/// Calls that block for as long as a model takes.
enum BlockingWork {
  /// Runs `body` on a thread of its own; cancelling the task triggers the Cancellation that the body gets.
  static func run<Value: Sendable>(
    _ body: @escaping @Sendable (Cancellation) throws(XverseError) -> Value
  ) async throws(XverseError) -> Value {
    let cancellation = try Cancellation()
    let result: Result<Value, XverseError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        // Each serial queue has a thread of its own while it works.
        DispatchQueue(label: "xverse.call").async {
          continuation.resume(returning: Result { () throws(XverseError) in try body(cancellation) })
        }
      }
    } onCancel: {
      cancellation.trigger()
    }
    return try result.get()
  }
}

/// Runs the jobs of an actor one after the other on a queue, so that they may block.
final class QueueExecutor: SerialExecutor {
  private let queue: DispatchQueue

  init(_ label: String) { queue = DispatchQueue(label: label) }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }

  func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
}
