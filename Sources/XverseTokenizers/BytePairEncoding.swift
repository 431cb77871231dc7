// BytePairEncoding.swift -- the model: splits a piece into characters and merges neighbours by rank (Sennrich, Haddow &
// Birch 2016), with byte fallback for characters that the vocabulary lacks.

import XverseCore

/// The `model` of tokenizer.json.
struct BytePairEncoding: ~Copyable {
  /// What the model does with text that the vocabulary lacks.
  struct Options {
    var usesByteFallback = false
    /// Whether neighbouring unknown characters become one unknown token.
    var fusesUnknown = false
    /// The token of an unknown character; nil: it is dropped.
    var unknownToken: Int32?
    /// Whether such a character is an error: the file names a token for it that it does not have.
    var rejectsUnknown = false
    /// Whether a piece that is a token as a whole is not built from merges.
    var ignoresMerges = false
  }

  let options: Options
  private var scalars: ScalarTable
  private var byteTokens: ByteFallback
  /// (left id, right id) to rank.
  private var ranks: PairTable
  /// By rank: the id that the merge makes.
  private var merged: Buffer<Int32>

  /// - Parameter mergeCount: Most merges that will be inserted.
  init(options: Options, mergeCount: Int, allocator: MemoryAllocator) throws(XverseError) {
    let scalars = try ScalarTable(allocator: allocator)
    let byteTokens = try ByteFallback(allocator: allocator)
    let ranks = try PairTable(capacity: mergeCount, allocator: allocator)
    self.options = options
    self.scalars = scalars
    self.byteTokens = byteTokens
    self.ranks = ranks
    merged = Buffer(allocator: allocator)
  }

  // MARK: building

  /// Takes note of a token that is a single character.
  mutating func insert(_ content: UnsafeRawBufferPointer, id: Int32) throws(XverseError) {
    guard UTF8Scalar.length(in: content, at: 0) == content.count,
      let scalar = UTF8Scalar.scalar(in: content, at: 0)
    else { return }
    try scalars.insert(scalar, id: id)
  }

  mutating func setByteToken(_ byte: UInt8, id: Int32) { byteTokens.set(byte, id: id) }

  /// Adds the merge of the next rank. Of equal pairs the last one counts.
  mutating func insertMerge(_ left: Int32, _ right: Int32, into result: Int32) throws(XverseError) {
    ranks.insert(left, right, value: Int32(merged.count))
    try merged.append(result)
  }

  func hasMerge(_ left: Int32, _ right: Int32) -> Bool { ranks[left, right] != PairTable.absent }

  // MARK: encoding

  /// Appends the tokens of a piece.
  ///
  /// - Parameters:
  ///   - piece: Text, not empty. A byte that is not UTF-8 counts as an unknown character of one byte.
  ///   - allowsSpecials: Whether a special token may come out of ordinary text, as a single character or by merging.
  /// - Complexity: O(n log n) in the bytes of the piece.
  func encode(
    _ piece: UnsafeRawBufferPointer, vocabulary: borrowing Vocabulary, allowsSpecials: Bool, scratch: inout MergeChain,
    into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    guard piece.count <= Int32.max else {
      throw .limit("text: a piece of \(piece.count) bytes without a boundary, expected at most \(Int32.max)")
    }
    let blocks = !allowsSpecials && vocabulary.hasSpecials
    if options.ignoresMerges, let id = vocabulary.modelId(of: piece), !(blocks && vocabulary.isSpecial(id)) {
      return try tokens.append(id)
    }
    try splitCharacters(piece, vocabulary: vocabulary, blocks: blocks, scratch: &scratch)
    try scratch.merge(
      rank: { left, right, _ in rank(left, right, vocabulary: vocabulary, blocks: blocks) },
      result: { rank, _ in merged[Int(rank)] })
    for symbol in scratch.symbols where !symbol.isRemoved { try tokens.append(symbol.value) }
  }

  /// Fills the chain with the tokens of the single characters.
  private func splitCharacters(
    _ piece: UnsafeRawBufferPointer, vocabulary: borrowing Vocabulary, blocks: Bool, scratch: inout MergeChain
  ) throws(XverseError) {
    scratch.removeAll()
    var position = 0
    // An unknown token waits for its neighbours to be fused with. Byte tokens overtake it: Hugging Face's `tokenizers`
    // does so, and the ids must be its ids.
    var waiting: Int32?
    while position < piece.count {
      let wellFormedLength = UTF8Scalar.length(in: piece, at: position)
      let end = position + (wellFormedLength ?? 1)
      defer { position = end }
      if let length = wellFormedLength {
        let id = scalars[UTF8Scalar.value(in: piece, at: position, length: length)]
        if id != ScalarTable.absent && !(blocks && vocabulary.isSpecial(id)) {
          if let unknown = waiting { try scratch.append(unknown) }
          waiting = nil
          try scratch.append(id)
          continue
        }
      }
      if options.usesByteFallback && byteTokens.covers(piece[position..<end]) {
        for byte in piece[position..<end] { try scratch.append(byteTokens[byte]) }
      } else if let unknown = options.unknownToken {
        if let waiting, !options.fusesUnknown { try scratch.append(waiting) }
        waiting = unknown
      } else if options.rejectsUnknown {
        throw .unsupported(
          "text: the vocabulary lacks a character at byte \(position) of a piece, and tokenizer.json's 'model.unk_token' "
            + "is none of its tokens")
      }
    }
    if let unknown = waiting { try scratch.append(unknown) }
  }

  private func rank(_ left: Int32, _ right: Int32, vocabulary: borrowing Vocabulary, blocks: Bool) -> Int32 {
    let rank = ranks[left, right]
    return rank >= 0 && blocks && vocabulary.isSpecial(merged[Int(rank)]) ? PairTable.absent : rank
  }
}
