// ComputeThread.swift -- the one thread on which a runtime computes. OpenMP keeps a pool of workers for every thread
// that opens a parallel region, so the host's threads never do: they hand work over and wait. The thread opens one region
// for its whole life.

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

  /// Starts the thread and those that help it, with all signals blocked: the host's handlers never run on them.
  ///
  /// - Parameter kernels: Whose threads help it.
  /// - Throws: `io`, `outOfMemory`.
  package init(_ kernels: Kernels) throws(XverseError) {
    queue = WorkQueue(kernels)
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    // Kernels keep their tiles on the stack; the system's default may be as small as the host likes.
    pthread_attr_setstacksize(&attributes, 4 << 20)
    var everySignal = sigset_t()
    var previous = sigset_t()
    sigfillset(&everySignal)
    pthread_sigmask(SIG_SETMASK, &everySignal, &previous)
    defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
    // It starts threads too, so no earlier.
    let error = kernels.startError
    guard error == 0 else {
      throw XverseError(
        error == EAGAIN || error == ENOMEM ? .outOfMemory : .io,
        "cannot start \(kernels.threadCount) compute threads, which OpenMP does with shared memory (/dev/shm): "
          + String(cString: strerror(error)))
    }
    let argument = Unmanaged.passRetained(queue)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        Unmanaged<WorkQueue>.fromOpaque(argument).takeRetainedValue().workTogether()
        return nil
      }, argument.toOpaque())
    guard code == 0 else {
      argument.release()
      throw XverseError(.outOfMemory, "cannot start the compute thread: \(String(cString: strerror(code)))")
    }
    self.thread = thread
    // What starts has started when this returns, under the limits that were looked at.
    queue.perform(Start(), ComputeTicket())
  }

  deinit {
    queue.stop()
    if pthread_equal(pthread_self(), thread) == 0 {
      pthread_join(thread, nil)
    } else {
      pthread_detach(thread)
    }
  }

  /// Performs `work` on the thread and returns when it is done. Any number of threads may wait at a time.
  package func perform(_ work: any ComputeWork, with ticket: ComputeTicket) { queue.perform(work, ticket) }
}

/// Nothing to do but to be there.
private final class Start: ComputeWork {
  func run() {}
}

/// First in, first out; shared by the thread and everyone who waits for it.
private final class WorkQueue: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let available: UnsafeMutablePointer<pthread_cond_t>
  private var first: ComputeTicket?
  private var last: ComputeTicket?
  private var isStopping = false
  private let kernels: Kernels

  init(_ kernels: Kernels) {
    self.kernels = kernels
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

  func stop() {
    pthread_mutex_lock(mutex)
    isStopping = true
    pthread_cond_signal(available)
    pthread_mutex_unlock(mutex)
  }

  /// The thread's body: ends after `stop`, when nothing waits any more.
  func workTogether() {
    kernels.together(self) { queue in
      guard let queue else { return }
      Unmanaged<WorkQueue>.fromOpaque(queue).takeUnretainedValue().work()
    }
  }

  private func work() {
    pthread_mutex_lock(mutex)
    while true {
      if let ticket = first {
        first = ticket.next
        if first == nil { last = nil }
        ticket.next = nil
        ticket.queueTime = MonotonicClock.now - ticket.queueTime
        pthread_mutex_unlock(mutex)
        ticket.work?.run()
        pthread_mutex_lock(mutex)
        ticket.work = nil
        pthread_cond_signal(ticket.finished)
      } else if isStopping {
        pthread_mutex_unlock(mutex)
        return
      } else {
        pthread_cond_wait(available, mutex)
      }
    }
  }
}
