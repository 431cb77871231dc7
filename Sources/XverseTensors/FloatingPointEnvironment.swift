// FloatingPointEnvironment.swift -- rounding, traps and subnormal numbers of a thread: the host's, while the library computes.

import CXverseKernels

/// The floating-point environment that a thread had.
package struct FloatingPointEnvironment {
  private var saved = xvk_float_environment()

  private init() {}

  /// Gives the calling thread the default environment; returns the one that it had.
  package static func replacedByDefault() -> Self {
    var environment = Self()
    xvk_float_begin(&environment.saved)
    return environment
  }

  /// Gives it back, on the same thread.
  package func restore() { withUnsafePointer(to: saved) { xvk_float_end($0) } }
}
