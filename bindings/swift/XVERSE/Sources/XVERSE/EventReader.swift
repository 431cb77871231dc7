// EventReader.swift -- the thread that takes a scheduler's events, and hands each to the task that waits for it.

internal import CXverse
import Dispatch
import Glibc
import Synchronization

/// An event of a scheduler's, copied.
struct SchedulerEvent: Sendable {
  let id: UInt64
  let text: String
  let tokens: [Int32]
  let logprobs: [Float]?
  /// Of the last event of an answer.
  let statistics: Statistics?
  let isLast: Bool
  /// Why the answer ended, when that was no good end.
  let error: XverseError?

  init(_ event: xverse_event, isJSON: Bool) {
    id = event.request_id
    text = String(bytes: event.text, count: event.text_len)
    tokens = Array(UnsafeBufferPointer(start: event.tokens, count: event.n_tokens))
    logprobs = event.logprobs.map { Array(UnsafeBufferPointer(start: $0, count: event.n_tokens)) }
    statistics = event.stats.map { Statistics($0.pointee) }
    isLast = Int(event.kind) == XVERSE_EVENT_FINISHED
    error =
      event.status < 0
      ? XverseError(
        XverseError.Status(event.status), event.message.map { String(cString: $0) } ?? "",
        response: isJSON ? text : nil) : nil
  }
}

/// The answers to a request, and where their events come.
struct Submission: Sendable {
  let first: UInt64
  let count: Int
  let events: AsyncStream<SchedulerEvent>
}

/// Reads the events of a scheduler on a thread of its own.
///
/// The thread waits for the scheduler's descriptor and for a pipe whose other end `stop` closes, and owns a reference to
/// the scheduler meanwhile: so that is freed when nobody is inside its functions.
final class EventReader: Sendable {
  let handle: Handle

  private struct Waiter {
    let continuation: AsyncStream<SchedulerEvent>.Continuation
    let isJSON: Bool
    /// The answers that share it and have not ended.
    let answers: Answers
  }

  /// Touched under the lock of `waiters` only.
  private final class Answers: @unchecked Sendable {
    var left: Int
    init(_ count: Int) { left = count }
  }

  private let waiters = Mutex<[UInt64: Waiter]>([:])
  private let stopping: Int32

  /// Errors: IO (no pipe).
  init(_ handle: Handle) throws(XverseError) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      throw XverseError(.inputOutput, "no pipe for a scheduler: \(String(cString: strerror(errno)))")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    self.handle = handle
    stopping = ends[1]
    let stopped = ends[0]
    DispatchQueue(label: "xverse.scheduler").async { self.run(until: stopped) }
  }

  /// Ends the thread, and with it all answers.
  func stop() { close(stopping) }

  /// Submits a request of `count` answers; `body` calls the library, and gets the place for the first number.
  func submit(
    count: Int, isJSON: Bool = false,
    _ body: (OpaquePointer, UnsafeMutablePointer<UInt64>) throws(XverseError) -> Void
  ) throws(XverseError) -> Submission {
    let (events, continuation) = AsyncStream.makeStream(of: SchedulerEvent.self)
    // The lock is held, so that no event is looked at before its waiter is there.
    let first = try waiters.withLock { (waiters) throws(XverseError) in
      var id: UInt64 = 0
      try body(handle.pointer, &id)
      let waiter = Waiter(continuation: continuation, isJSON: isJSON, answers: Answers(count))
      for answer in 0..<UInt64(count) { waiters[id + answer] = waiter }
      return id
    }
    return Submission(first: first, count: count, events: events)
  }

  /// Receives the events of a submission until all its answers have ended. `false` from `receive` cancels them, and
  /// that is then no error.
  func read(_ submission: Submission, _ receive: (SchedulerEvent) -> Bool) async throws(XverseError) {
    let outcome: Result<Void, XverseError> = await withTaskCancellationHandler {
      var left = submission.count
      var isStopped = false
      for await event in submission.events {
        if let error = event.error, !isStopped || error.status != .cancelled {
          cancel(submission)
          return .failure(error)
        }
        if !receive(event), !isStopped {
          isStopped = true
          cancel(submission)
        }
        if event.isLast { left -= 1 }
        // What came meanwhile is not read any more.
        if left > 0, Task.isCancelled { return .failure(.cancelled) }
      }
      return left == 0 ? .success(()) : .failure(.cancelled)
    } onCancel: {
      cancel(submission)
    }
    try outcome.get()
  }

  private func cancel(_ submission: Submission) {
    for answer in 0..<UInt64(submission.count) {
      // One that has ended is no error.
      _ = xverse_scheduler_cancel(handle.pointer, submission.first + answer)
    }
  }

  private func run(until stopped: Int32) {
    var watched = [
      pollfd(fd: xverse_scheduler_fd(handle.pointer), events: Int16(POLLIN), revents: 0),
      pollfd(fd: stopped, events: Int16(POLLIN), revents: 0),
    ]
    while true {
      // Interrupted, it is called again.
      _ = poll(&watched, 2, -1)
      if watched[1].revents != 0 { break }
      if watched[0].revents != 0 { drain() }
    }
    close(stopped)
    let left = waiters.withLock { waiters in
      defer { waiters = [:] }
      return Array(waiters.values)
    }
    for waiter in left { waiter.continuation.finish() }
  }

  private func drain() {
    var next: UnsafePointer<xverse_event>?
    while xverse_scheduler_next(handle.pointer, 0, &next) == XVERSE_OK, let event = next?.pointee {
      waiters.withLock { waiters in
        guard let waiter = waiters[event.request_id] else { return }
        let copy = SchedulerEvent(event, isJSON: waiter.isJSON)
        waiter.continuation.yield(copy)
        guard copy.isLast else { return }
        waiters[event.request_id] = nil
        waiter.answers.left -= 1
        if waiter.answers.left == 0 { waiter.continuation.finish() }
      }
    }
  }
}
