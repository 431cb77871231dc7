// ScoredMerging.swift -- the model of SentencePiece's BPE: neighbours merge whenever their text is a token, the token of
// the highest score first, with byte tokens for characters that the vocabulary lacks.

import XverseCore

/// Byte-pair encoding by the scores of tokens.
struct ScoredMerging: ~Copyable {
  /// The token of characters without one of their own; nil: they are dropped.
  let unknownToken: Int32?
  /// Bytes of the longest token.
  private let longest: Int
  private let byteTokens: ByteFallback
  /// By id: the rank of a merge that makes the token.
  private let ranks: Buffer<Int32>

  /// - Parameters:
  ///   - ranks: By id, from `rank(ofScore:)`.
  ///   - longest: Bytes of the longest token.
  init(ranks: consuming Buffer<Int32>, byteTokens: consuming ByteFallback, longest: Int, unknownToken: Int32?) {
    self.ranks = ranks
    self.byteTokens = byteTokens
    self.longest = longest
    self.unknownToken = unknownToken
  }

  /// The rank of a score: without their signs, ranks have the reverse order of the scores.
  ///
  /// - Parameter score: Not NaN, so that the rank is never `MergeChain.unranked`.
  static func rank(ofScore score: Float) -> Int32 {
    // A negative zero becomes the positive one, which it is equal to.
    let bits = (score + 0).bitPattern
    let ascending = bits >> 31 == 0 ? bits | 1 << 31 : ~bits
    return Int32(bitPattern: ~ascending)
  }

  /// Appends the tokens of a piece.
  ///
  /// - Parameter piece: Text, not empty. A byte that is not UTF-8 is a character without a token.
  /// - Complexity: O(n log n) in the bytes of the piece, and for each O(m) in those of the longest token.
  func encode(
    _ piece: UnsafeRawBufferPointer, vocabulary: borrowing Vocabulary, scratch: inout MergeChain,
    into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    guard piece.count <= Int32.max else {
      throw .limit("text: a piece of \(piece.count) bytes without a boundary, expected at most \(Int32.max)")
    }
    scratch.removeAll()
    var position = 0
    // The value of a symbol is where it begins.
    while position < piece.count {
      try scratch.append(Int32(position))
      position += UTF8Scalar.characterLength(in: piece, at: position)
    }
    try scratch.merge(
      rank: { left, _, behind in rank(piece, from: left, to: behind, vocabulary) }, result: { _, left in left })
    try appendTokens(of: piece, vocabulary: vocabulary, scratch: scratch, into: &tokens)
  }

  private func rank(
    _ piece: UnsafeRawBufferPointer, from start: Int32, to end: Int32?, _ vocabulary: borrowing Vocabulary
  ) -> Int32 {
    let range = Int(start)..<(end.map(Int.init) ?? piece.count)
    guard range.count <= longest, let id = vocabulary.modelId(of: UnsafeRawBufferPointer(rebasing: piece[range]))
    else { return MergeChain.unranked }
    return ranks[Int(id)]
  }

  private func appendTokens(
    of piece: UnsafeRawBufferPointer, vocabulary: borrowing Vocabulary, scratch: borrowing MergeChain,
    into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    var followsUnknown = false
    for symbol in scratch.symbols where !symbol.isRemoved {
      let end = symbol.next < 0 ? piece.count : Int(scratch.symbols[Int(symbol.next)].value)
      let bytes = piece[Int(symbol.value)..<end]
      if let id = vocabulary.modelId(of: UnsafeRawBufferPointer(rebasing: bytes)) {
        try tokens.append(id)
      } else if byteTokens.covers(bytes) {
        for byte in bytes { try tokens.append(byteTokens[byte]) }
      } else {
        // Neighbours become one unknown token, as in SentencePiece.
        if let unknownToken, !followsUnknown { try tokens.append(unknownToken) }
        followsUnknown = true
        continue
      }
      followsUnknown = false
    }
  }
}
