// Log.swift -- the library's only voice: off unless the host or XVERSE_LOG asks for it.

import Synchronization

/// Where messages go and which of them.
///
/// Threads: any thread may call any member at any time; the receiver is called without a lock held.
package final class Log: Sendable {
  package enum Level: Int32, Sendable {
    case off = 0
    case error = 1
    case warning = 2
    case info = 3
    case debug = 4
  }

  package typealias Receiver = @Sendable (Level, String) -> Void

  private struct Target {
    var level: Level
    var receiver: Receiver?
  }

  private let target: Mutex<Target>

  package init(level: Level = .off, receiver: Receiver? = nil) {
    target = Mutex(Target(level: level, receiver: receiver))
  }

  package func set(level: Level, receiver: Receiver?) {
    target.withLock { $0 = Target(level: level, receiver: receiver) }
  }

  /// Sends a message of one line; it is not built when nobody listens.
  package func callAsFunction(_ level: Level, _ message: @autoclosure () -> String) {
    let receiver = target.withLock { level.rawValue <= $0.level.rawValue ? $0.receiver : nil }
    receiver?(level, message())
  }
}
