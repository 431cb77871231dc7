// TokenBatch.swift -- the tokens of one pass: stretches of any number of sequences, prompts and single tokens mixed.

/// What one forward pass evaluates: segments of different sequences, one behind the other in the rows of the pass.
///
/// A sequence gets the same bits in whatever company its tokens are evaluated.
package struct TokenBatch {
  /// Consecutive tokens of one sequence.
  package struct Segment {
    /// Ids below `vocabularySize`, at least one; they outlive the pass.
    package let tokens: UnsafeBufferPointer<Int32>
    /// The sequence, whose positions these tokens follow; of no other segment.
    package let cache: KVCache
    /// Positions in the sequence when the evaluation that this segment is part of ends: dynamic RoPE scaling depends on it.
    package let sequenceLength: Int
    /// The tokens, counted from the segment's first, whose final hidden states are wanted.
    package let outputs: Range<Int>
    /// The first of its rows in the pass.
    package let row: Int

    package var rows: Range<Int> { row..<row + tokens.count }
  }

  package private(set) var segments: [Segment] = []
  package private(set) var tokenCount = 0
  /// Rows of the final hidden states that the pass returns.
  package private(set) var outputCount = 0

  package init() {}

  /// Adds a segment; the caches of a batch have one layout.
  ///
  /// - Parameters:
  ///   - sequenceLength: nil when the evaluation ends with this segment.
  ///   - outputs: nil for the last token.
  package mutating func append(
    _ tokens: UnsafeBufferPointer<Int32>, to cache: KVCache, sequenceLength: Int? = nil, outputs: Range<Int>? = nil
  ) {
    let outputs = outputs ?? tokens.count - 1..<tokens.count
    precondition(!tokens.isEmpty && outputs.lowerBound >= 0 && outputs.upperBound <= tokens.count, "an empty segment")
    precondition(segments.isEmpty || segments[0].cache.layout == cache.layout, "caches of different layouts")
    segments.append(
      Segment(
        tokens: tokens, cache: cache, sequenceLength: sequenceLength ?? cache.length + tokens.count, outputs: outputs,
        row: tokenCount))
    tokenCount += tokens.count
    outputCount += outputs.count
  }

  /// Empties the batch and keeps its memory.
  package mutating func removeAll() {
    segments.removeAll(keepingCapacity: true)
    (tokenCount, outputCount) = (0, 0)
  }
}
