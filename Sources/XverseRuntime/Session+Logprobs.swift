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
    var heap = LeastFirstHeap(tokens, logits)
    for token in 0..<logits.count { heap.offer(Int32(token), limit: count) }
    heap.sortMostFirst()
    for i in 0..<count { logprobs[i] = Float(Double(logits[Int(tokens[i])]) - sum) }
    return count
  }
}

/// The best tokens seen so far, in the caller's array, as a binary heap with the worst of them at its root.
private struct LeastFirstHeap {
  private let tokens: UnsafeMutablePointer<Int32>
  private let logits: UnsafeBufferPointer<Float>
  private var count = 0

  init(_ tokens: UnsafeMutablePointer<Int32>, _ logits: UnsafeBufferPointer<Float>) {
    self.tokens = tokens
    self.logits = logits
  }

  mutating func offer(_ token: Int32, limit: Int) {
    guard limit > 0 else { return }
    if count < limit {
      tokens[count] = token
      siftUp(from: count)
      count += 1
    } else if isWorse(tokens[0], token) {
      tokens[0] = token
      siftDown(within: count)
    }
  }

  mutating func sortMostFirst() {
    for end in stride(from: count - 1, to: 0, by: -1) {
      (tokens[0], tokens[end]) = (tokens[end], tokens[0])
      siftDown(within: end)
    }
  }

  /// NaN is worse than every number.
  private func isWorse(_ left: Int32, _ right: Int32) -> Bool {
    let (l, r) = (logits[Int(left)], logits[Int(right)])
    if l.isNaN || r.isNaN { return l.isNaN && r.isNaN ? left > right : l.isNaN }
    return l == r ? left > right : l < r
  }

  private func siftUp(from start: Int) {
    var child = start
    while child > 0, isWorse(tokens[child], tokens[(child - 1) / 2]) {
      let parent = (child - 1) / 2
      (tokens[child], tokens[parent]) = (tokens[parent], tokens[child])
      child = parent
    }
  }

  private func siftDown(within end: Int) {
    var parent = 0
    while 2 * parent + 1 < end {
      var child = 2 * parent + 1
      if child + 1 < end, isWorse(tokens[child + 1], tokens[child]) { child += 1 }
      guard isWorse(tokens[child], tokens[parent]) else { return }
      (tokens[child], tokens[parent]) = (tokens[parent], tokens[child])
      parent = child
    }
  }
}
