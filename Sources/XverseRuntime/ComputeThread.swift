// ComputeThread.swift -- the one thread on which a runtime computes, and the leader of the team that helps it: the host's
// threads hand work over and wait. The team is there for the whole life of the thread.

import Glibc
import XverseCore
import XverseTensors

/// Something for a `ComputeThread` to do.
package protocol ComputeWork: AnyObject {
  /// Does it, on the compute thread; what it finds out stays in the object's properties.
  func run()
}

/// A place in the queue of a `ComputeThread`: created once, used for one piece of work at a time, so that handing work
/// over allocates nothing.
///
/// Threads: one owner.
package final class ComputeTicket: @unchecked Sendable {
  fileprivate var work: (any ComputeWork)?
  fileprivate var next: ComputeTicket?
  fileprivate let finished: UnsafeMutablePointer<pthread_cond_t>
  /// Nanoseconds that the last work waited for its turn.
  package fileprivate(set) var queueTime: Int64 = 0

  package init() {
    finished = .allocate(capacity: 1)
    pthread_cond_init(finished, nil)
  }

  deinit {
    pthread_cond_destroy(finished)
    finished.deallocate()
  }
}

/// A thread that performs work in the order in which it comes.
package final class ComputeThread: @unchecked Sendable {
  private let queue: WorkQueue
  private let thread: pthread_t

  /// Starts the thread and those that help it.
  ///
  /// - Parameters:
  ///   - kernels: Whose threads help it.
  ///   - processors: Where they run; nil: where the caller does.
  /// - Throws: `io`, `outOfMemory`, `unsupported`.
  package init(_ kernels: Kernels, on processors: ProcessorSet? = nil) throws(XverseError) {
    let queue = WorkQueue(kernels, processors)
    self.queue = queue
    let (started, code) = OwnThread.start { queue.workTogether() }
    guard let thread = started else {
      throw XverseError(.outOfMemory, "cannot start the compute thread: \(String(cString: strerror(code)))")
    }
    // What starts has started when this returns, under the limits that were looked at.
    queue.perform(Start(), ComputeTicket())
    guard queue.startError == 0 else {
      pthread_join(thread, nil)
      throw Self.failure(queue.startError, kernels)
    }
    self.thread = thread
    ProcessExit.watch(queue)
  }

  private static func failure(_ error: Int32, _ kernels: Kernels) -> XverseError {
    if error == ENOENT {
      return .unsupported("option 'threading' is 'openmp', and libomp.so.5 is not installed")
    }
    return XverseError(
      error == EAGAIN || error == ENOMEM ? .outOfMemory : .io,
      "cannot start \(kernels.threadCount) compute threads: \(String(cString: strerror(error)))")
  }

  deinit {
    ProcessExit.forget(queue)
    queue.stop()
    if pthread_equal(pthread_self(), thread) == 0 {
      pthread_join(thread, nil)
    } else {
      pthread_detach(thread)
    }
  }

  /// Pieces of work that wait for their turn.
  package var waitingCount: Int { queue.waitingCount }

  /// Performs `work` on the thread and returns when it is done. Any number of threads may wait at a time.
  package func perform(_ work: any ComputeWork, with ticket: ComputeTicket) { queue.perform(work, ticket) }
}

/// Nothing to do but to be there.
private final class Start: ComputeWork {
  func run() {}
}

/// First in, first out; shared by the thread and everyone who waits for it.
final class WorkQueue: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let available: UnsafeMutablePointer<pthread_cond_t>
  private var first: ComputeTicket?
  private var last: ComputeTicket?
  private var isRunning = false
  private var isStopping = false
  /// Why the team could not be started, an errno; nothing is worked at then.
  private(set) var startError: Int32 = 0
  /// The compute thread, once it works.
  private var thread: pthread_t?
  private let kernels: Kernels
  private let processors: ProcessorSet?

  init(_ kernels: Kernels, _ processors: ProcessorSet?) {
    self.kernels = kernels
    self.processors = processors
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    available = .allocate(capacity: 1)
    pthread_cond_init(available, nil)
  }

  deinit {
    pthread_cond_destroy(available)
    available.deallocate()
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func perform(_ work: any ComputeWork, _ ticket: ComputeTicket) {
    let start = MonotonicClock.now
    pthread_mutex_lock(mutex)
    ticket.work = work
    ticket.queueTime = start
    if let last { last.next = ticket } else { first = ticket }
    last = ticket
    pthread_cond_signal(available)
    while ticket.work != nil { pthread_cond_wait(ticket.finished, mutex) }
    pthread_mutex_unlock(mutex)
  }

  var waitingCount: Int {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return sequence(first: first, next: { $0?.next }).prefix { $0 != nil }.count
  }

  func stop() {
    pthread_mutex_lock(mutex)
    isStopping = true
    pthread_cond_signal(available)
    pthread_mutex_unlock(mutex)
  }

  /// The thread's body: ends after `stop`, when nothing waits any more.
  func workTogether() {
    Kernels.nameThisThread("xverse")
    processors?.bindThisThread()
    startError = kernels.together(self) { queue in
      guard let queue else { return }
      Unmanaged<WorkQueue>.fromOpaque(queue).takeUnretainedValue().work()
    }
    // Whoever starts the thread waits for it.
    if startError != 0 { finishAll() }
  }

  private func work() {
    pthread_mutex_lock(mutex)
    thread = pthread_self()
    while true {
      if let ticket = takeFirst() {
        isRunning = true
        pthread_mutex_unlock(mutex)
        ticket.work?.run()
        pthread_mutex_lock(mutex)
        isRunning = false
        finish(ticket)
      } else if isStopping {
        pthread_mutex_unlock(mutex)
        return
      } else {
        pthread_cond_wait(available, mutex)
      }
    }
  }

  private func finishAll() {
    pthread_mutex_lock(mutex)
    while true {
      if let ticket = takeFirst() {
        finish(ticket)
        break
      }
      pthread_cond_wait(available, mutex)
    }
    pthread_mutex_unlock(mutex)
  }

  private func takeFirst() -> ComputeTicket? {
    guard let ticket = first else { return nil }
    first = ticket.next
    if first == nil { last = nil }
    ticket.next = nil
    ticket.queueTime = MonotonicClock.now - ticket.queueTime
    return ticket
  }

  private func finish(_ ticket: ComputeTicket) {
    ticket.work = nil
    pthread_cond_signal(ticket.finished)
  }

  /// Waits until nothing is worked at; on the compute thread itself, not at all.
  ///
  /// - Parameter deadline: Of the monotonic clock. The mutex may be held for ever: by the caller, in a signal handler.
  /// - Returns: Whether nothing is worked at.
  func waitUntilIdle(_ deadline: Int64) -> Bool {
    while MonotonicClock.now < deadline {
      if pthread_mutex_trylock(mutex) == 0 {
        let isIdle = first == nil && !isRunning || thread.map { pthread_equal($0, pthread_self()) != 0 } == true
        pthread_mutex_unlock(mutex)
        if isIdle { return true }
      }
      usleep(500)
    }
    return false
  }
}
