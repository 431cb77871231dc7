// Cancellation.swift -- the flag and the deadline that long work looks at again and again.

import Glibc
import Synchronization

/// A sticky cancel flag with an optional deadline.
///
/// Threads: any thread, and signal handlers, may call `trigger` at any time; it is one atomic store.
package final class Cancellation: Sendable {
  private let isTriggered = Atomic<Bool>(false)
  /// On the monotonic clock, in nanoseconds; `Int64.max` when there is none.
  private let deadline = Atomic<Int64>(.max)
  private let parent: Cancellation?

  /// - Parameter parent: Its flag and deadline count too.
  package init(parent: Cancellation? = nil) { self.parent = parent }

  package func trigger() { isTriggered.store(true, ordering: .relaxed) }

  /// Clears the flag and sets the deadline `milliseconds` from now; 0 or less: none.
  package func reset(deadlineAfter milliseconds: Int64) {
    isTriggered.store(false, ordering: .relaxed)
    deadline.store(milliseconds > 0 ? MonotonicClock.time(after: milliseconds) : .max, ordering: .relaxed)
  }

  /// Whether this object's own deadline has passed.
  package var isPastDeadline: Bool {
    let time = deadline.load(ordering: .relaxed)
    return time != .max && MonotonicClock.now >= time
  }

  /// - Throws: `cancelled` or `deadline` when the work should end.
  package func check() throws(XverseError) {
    try ProcessEnd.check()
    if isTriggered.load(ordering: .relaxed) { throw XverseError(.cancelled, "cancelled") }
    if isPastDeadline { throw XverseError(.deadline, "the deadline has passed") }
    try parent?.check()
  }
}

extension Cancellation? {
  /// What long work without a flag of its own obeys too: the end of the process.
  package func check() throws(XverseError) {
    guard let self else { return try ProcessEnd.check() }
    try self.check()
  }
}

/// The end of the process: from then on all work ends where it would look at a cancel flag, and calls no host.
package enum ProcessEnd {
  private static let flag = Atomic<Bool>(false)

  package static var hasBegun: Bool { flag.load(ordering: .relaxed) }

  package static func begin() { flag.store(true, ordering: .relaxed) }

  /// - Throws: `cancelled`.
  package static func check() throws(XverseError) {
    if hasBegun { throw XverseError(.cancelled, "cancelled, because the process is ending") }
  }
}

/// Nanoseconds of the monotonic clock.
package enum MonotonicClock {
  package static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// The time so many milliseconds from now, at least 0; `Int64.max` when that is beyond the clock.
  package static func time(after milliseconds: Int64) -> Int64 {
    let (span, isLong) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
    let (time, isLate) = now.addingReportingOverflow(span)
    return isLong || isLate ? .max : time
  }
}
