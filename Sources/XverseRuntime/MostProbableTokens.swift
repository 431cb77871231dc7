// MostProbableTokens.swift -- the k largest of many logits.

extension UnsafeBufferPointer<Float> {
  /// Writes the `count` tokens with the largest of these logits, largest first, lower id first among equals, NaN last.
  ///
  /// Time O(n log count).
  ///
  /// - Parameter count: At most as many as there are logits.
  func mostProbable(_ count: Int, into tokens: UnsafeMutablePointer<Int32>) {
    var heap = LeastFirstHeap(tokens, self)
    for token in indices { heap.offer(Int32(token), limit: count) }
    heap.sortMostFirst()
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
