// ProcessExit.swift -- the host calls exit, or returns from main, while its other threads compute here. What the compute
// threads use is torn down then: destructors of libraries run, and soon the process is gone. So they stop first.

import Glibc
import XverseCore
import XverseTensors

/// The compute threads that an exit has to stop.
enum ProcessExit {
  /// Nanoseconds that an exit may be held up: what works between two looks at a cancel flag takes less, but for the
  /// factorization of a large matrix in calibration.
  private static let patience: Int64 = 10_000_000_000

  /// Guarded by `mutex`, which an exit from inside a signal handler may find locked for ever.
  nonisolated(unsafe) private static var queues: [WorkQueue] = []
  nonisolated(unsafe) private static let mutex: UnsafeMutablePointer<pthread_mutex_t> = {
    let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    return mutex
  }()

  /// Handlers run in the reverse order of their registration, and all of them before the destructors of libraries.
  private static let owner: pid_t = {
    atexit { ProcessExit.stop() }
    return getpid()
  }()

  static func watch(_ queue: WorkQueue) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    _ = owner
    queues.append(queue)
  }

  static func forget(_ queue: WorkQueue) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    queues.removeAll { $0 === queue }
  }

  private static func stop() {
    // A child after fork has no compute threads.
    guard getpid() == owner else { return }
    ProcessEnd.begin()
    let deadline = MonotonicClock.now + patience
    while pthread_mutex_trylock(mutex) != 0 {
      guard MonotonicClock.now < deadline else { return Kernels.leaveAfterHandlers() }
      usleep(500)
    }
    let working = queues
    pthread_mutex_unlock(mutex)
    for queue in working where !queue.waitUntilIdle(deadline) { return Kernels.leaveAfterHandlers() }
  }
}
