// LogitsProcessor.swift -- what changes the logits before a token is chosen: bias, penalties, the caller's hook, and
// anything that forbids tokens.

import XverseCore

/// A step that changes the logits before `Sampler` chooses a token, and the state that it needs for that.
///
/// A sampler accepts a token in two phases, so that either all of its processors add the token or none does: first it
/// asks each to prepare, and if none throws, it tells each to accept.
/// Threads: one at a time, together with the sampler.
package protocol LogitsProcessor: AnyObject {
  /// Changes the logits [vocabularySize] in place; -inf forbids a token.
  ///
  /// Called once for each `Sampler.sample`, which throws what it throws. It must not allocate, and it does not change
  /// what the next call does: the token that is chosen may never be accepted.
  func apply(to logits: UnsafeMutableBufferPointer<Float>) throws(XverseError)

  /// Checks the token and allocates, so that `accept` with the same arguments cannot fail.
  ///
  /// - Parameters:
  ///   - token: Inside the vocabulary.
  ///   - isGenerated: False for a token of the prompt.
  /// - Throws: `outOfMemory`, or the reason why the token cannot come next. `apply` works as before in either case.
  func prepareToAccept(_ token: Int32, isGenerated: Bool) throws(XverseError)

  /// Adds the token to the sequence. `prepareToAccept` has been called with the same arguments.
  func accept(_ token: Int32, isGenerated: Bool)

  /// A processor in the same state. It shares no mutable state with this one.
  func clone() throws(XverseError) -> any LogitsProcessor
}

/// For processors that do not depend on the sequence.
extension LogitsProcessor {
  package func prepareToAccept(_ token: Int32, isGenerated: Bool) throws(XverseError) {}
  package func accept(_ token: Int32, isGenerated: Bool) {}
}
