// Interrupt.swift -- Ctrl-C as a wish instead of an end: the handler sets a flag and triggers the cancel object that
// the library looks at while it loads, reads a prompt or writes an answer.

import CXverse
import Glibc

enum Interrupt {
  // Written by the signal handler and read by the one thread of the tool; both are machine words set whole.
  nonisolated(unsafe) private static var requested = false
  nonisolated(unsafe) private static var trigger: OpaquePointer?

  /// Whether Ctrl-C was pressed since the last `reset`.
  static var isRequested: Bool { requested }

  /// The cancel object to hand to the library.
  static var cancel: OpaquePointer? { trigger }

  /// Takes over SIGINT for the rest of the program.
  static func install() throws(ToolError) {
    requested = false
    try Library.check(xverse_cancel_create(&trigger))
    var action = sigaction()
    // Both statements are async-signal-safe: each is one store.
    action.__sigaction_handler.sa_handler = { _ in
      Interrupt.requested = true
      xverse_cancel_trigger(Interrupt.trigger)
    }
    // Without SA_RESTART a waiting read() returns, so that the prompt notices.
    sigaction(SIGINT, &action, nil)
  }

  /// Forgets an earlier Ctrl-C.
  static func reset() {
    requested = false
    xverse_cancel_reset(trigger, 0)
  }

  /// - Throws: `interrupted` if Ctrl-C was pressed.
  static func check() throws(ToolError) {
    if requested { throw .interrupted }
  }
}
