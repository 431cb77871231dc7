// Session+Embedding.swift -- the final hidden states of tokens as one vector.

import XverseCore
import XverseTensors

/// Pools final hidden states, chunk by chunk. The result does not depend on where the chunks end.
///
/// Threads: one owner at a time.
final class StatePool {
  private let takesMean: Bool
  /// Of the rows taken up, or the last of them; `[hiddenSize]`.
  private let sums: Buffer<Double>
  private var count = 0

  init(_ pooling: Session.Pooling, hiddenSize: Int, allocator: MemoryAllocator) throws(XverseError) {
    takesMean = pooling == .mean
    sums = try Buffer(repeating: 0, count: hiddenSize, allocator: allocator)
  }

  /// The tokens of a chunk whose states it wants.
  func wanted(of tokenCount: Int, isLast: Bool) -> Range<Int> {
    takesMean ? 0..<tokenCount : (isLast ? tokenCount - 1 : tokenCount)..<tokenCount
  }

  func add(_ states: Matrix) {
    let sums = sums.mutableElements
    for row in 0..<states.rows {
      let state = states.data + row * states.columns
      for column in 0..<states.columns { sums[column] = (takesMean ? sums[column] : 0) + Double(state[column]) }
    }
    count = takesMean ? count + states.rows : 1
  }

  /// Writes the vector, `[hiddenSize]`; of length 1 if so wanted, unless it is 0.
  func write(to result: UnsafeMutablePointer<Float>, isNormalized: Bool) {
    let length = sums.elements.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let divisor = isNormalized ? (length > 0 ? length : 1) : Double(max(1, count))
    for (column, sum) in sums.elements.enumerated() { result[column] = Float(sum / divisor) }
  }
}

extension Session {
  /// How the states of several tokens become one vector.
  package enum Pooling: Int32, Sendable {
    /// That of the last token, which attended to all of them.
    case last = 1
    /// Their mean.
    case mean = 2
  }

  /// Appends tokens, as `evaluate`, and pools their hidden states behind the final norm.
  ///
  /// - Parameters:
  ///   - tokens: At least one.
  ///   - isNormalized: Whether the vector is scaled to length 1.
  ///   - vector: `[hiddenSize]`; written when everything else is done.
  /// - Throws: As `evaluate`; `contextFull` also where the session would shift.
  package func embed(
    _ tokens: UnsafeBufferPointer<Int32>, _ pooling: Pooling, isNormalized: Bool,
    into vector: UnsafeMutablePointer<Float>, cancellation: Cancellation? = nil
  ) throws(XverseError) {
    try checkIDs(tokens)
    guard length + tokens.count <= context else { throw contextFull(adding: tokens.count) }
    let pool = try StatePool(pooling, hiddenSize: model.configuration.hiddenSize, allocator: runtime.allocator)
    try append(tokens, cancellation: cancellation, progress: nil, needsAll: pooling == .mean) { _, end in
      .embedding(pool, isLast: end == tokens.count)
    }
    pool.write(to: vector, isNormalized: isNormalized)
  }
}
