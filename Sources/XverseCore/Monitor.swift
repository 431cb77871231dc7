// Monitor.swift -- a mutex and a condition of pthreads (Hoare 1974). Synchronization.Mutex has no condition, and ThreadSanitizer
// does not see the order that it makes.

import Glibc

/// Lets one thread at a time in, and threads that are in wait for each other.
///
/// Threads: any thread may call `locked`; the others only from inside it.
package final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(changed, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  package func locked<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Waits for a signal, letting others in meanwhile; may return without one.
  package func wait() { pthread_cond_wait(changed, mutex) }

  /// The same, at most until `time` of `MonotonicClock`.
  package func wait(until time: Int64) {
    var end = timespec(tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
    pthread_cond_timedwait(changed, mutex, &end)
  }

  /// Wakes one thread that waits.
  package func signal() { pthread_cond_signal(changed) }

  /// Wakes all threads that wait.
  package func broadcast() { pthread_cond_broadcast(changed) }
}

/// A value that one thread at a time uses.
package final class Guarded<Value: ~Copyable>: @unchecked Sendable {
  private let monitor = Monitor()
  private var value: Value

  package init(_ value: consuming Value) { self.value = value }

  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try monitor.locked { () throws(Failure) in try body(&value) }
  }
}
