// Session+Logprobs.swift -- what the session thinks comes next.

import XverseCore
import XverseTensors

extension Session {
  /// - Throws: `misuse` when there are no logits.
  package func requiredLogits() throws(XverseError) -> UnsafeBufferPointer<Float> {
    guard let logits else { throw .misuse("the session has no logits; evaluate at least one token first") }
    return logits
  }

  /// Writes the `k` most probable tokens and their ln p, most probable first, lower id first among equals.
  ///
  /// Time O(vocabularySize log k).
  ///
  /// - Returns: How many were written, `min(k, vocabularySize)`.
  package func topLogprobs(
    _ k: Int, tokens: UnsafeMutablePointer<Int32>, logprobs: UnsafeMutablePointer<Float>
  ) throws(XverseError) -> Int {
    let logits = try requiredLogits()
    let sum = runtime.kernels.serial.logSumExp(logits)
    let count = min(k, logits.count)
    logits.mostProbable(count, into: tokens)
    for i in 0..<count { logprobs[i] = Float(Double(logits[Int(tokens[i])]) - sum) }
    return count
  }
}
