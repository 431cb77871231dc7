// LogitsHook.swift -- a function of the caller as a processor.

import XverseCore

/// Lets a function change the logits after bias and penalties and before the temperature, where Hugging Face calls a
/// caller's own processors.
package final class LogitsHook: LogitsProcessor {
  /// Changes the logits [vocabularySize] in place; false stops the generation.
  package typealias Function = (_ logits: UnsafeMutableBufferPointer<Float>) -> Bool

  private let function: Function

  init(_ function: @escaping Function) {
    self.function = function
  }

  package func apply(to logits: UnsafeMutableBufferPointer<Float>) throws(XverseError) {
    guard function(logits) else { throw XverseError(.stopped, "the logits callback asked to stop") }
  }

  /// Returns itself: the function is shared.
  package func clone() -> any LogitsProcessor { self }
}
