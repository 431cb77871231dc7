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
    /// Whether a piece that is a token as a whole is not built from merges.
    var ignoresMerges = false
  }

  let options: Options
  private var scalars: ScalarTable
  /// The tokens `<0x00>` to `<0xFF>`; -1 where the vocabulary lacks one.
  private var byteTokens: Buffer<Int32>
  /// (left id, right id) to rank.
  private var ranks: PairTable
  /// By rank: the id that the merge makes.
  private var merged: Buffer<Int32>

  /// - Parameter mergeCount: Most merges that will be inserted.
  init(options: Options, mergeCount: Int, allocator: MemoryAllocator) throws(XverseError) {
    let scalars = try ScalarTable(allocator: allocator)
    let byteTokens = try Buffer<Int32>(repeating: -1, count: 256, allocator: allocator)
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

  mutating func setByteToken(_ byte: UInt8, id: Int32) { byteTokens[Int(byte)] = id }

  /// Adds the merge of the next rank. Of equal pairs the last one counts.
  mutating func insertMerge(_ left: Int32, _ right: Int32, into result: Int32) throws(XverseError) {
    ranks.insert(left, right, value: Int32(merged.count))
    try merged.append(result)
  }

  // MARK: encoding

  /// Appends the tokens of a piece.
  ///
  /// - Parameters:
  ///   - piece: Text, not empty. A byte that is not UTF-8 counts as an unknown character of one byte.
  ///   - allowsSpecials: Whether a special token may come out of ordinary text, as a single character or by merging.
  /// - Complexity: O(n log n) in the bytes of the piece.
  func encode(
    _ piece: UnsafeRawBufferPointer, vocabulary: borrowing Vocabulary, allowsSpecials: Bool, scratch: inout Scratch,
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
    try merge(vocabulary: vocabulary, blocks: blocks, scratch: &scratch)
    for symbol in scratch.symbols.elements where symbol.id != Symbol.removed { try tokens.append(symbol.id) }
  }

  /// Fills `scratch.symbols` with the tokens of the single characters.
  private func splitCharacters(
    _ piece: UnsafeRawBufferPointer, vocabulary: borrowing Vocabulary, blocks: Bool, scratch: inout Scratch
  ) throws(XverseError) {
    scratch.symbols.removeAll()
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
      if hasByteTokens(piece, position..<end) {
        for byte in piece[position..<end] { try scratch.append(byteTokens[Int(byte)]) }
      } else if let unknown = options.unknownToken {
        if let waiting, !options.fusesUnknown { try scratch.append(waiting) }
        waiting = unknown
      }
    }
    if let unknown = waiting { try scratch.append(unknown) }
  }

  private func hasByteTokens(_ piece: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
    guard options.usesByteFallback else { return false }
    for position in range where byteTokens[Int(piece[position])] < 0 { return false }
    return true
  }

  /// Merges the pair of the lowest rank, of equal ones the leftmost, until no pair has a rank.
  ///
  /// A symbol remembers the rank of the pair that it begins. An entry of the queue whose rank is no longer that of its
  /// position has expired. There are at most 3 entries a symbol: one at the start and two a merge.
  private func merge(
    vocabulary: borrowing Vocabulary, blocks: Bool, scratch: inout Scratch
  ) throws(XverseError) {
    let count = scratch.symbols.count
    scratch.queue.removeAll()
    for index in 0..<count {
      let next = index + 1 < count ? index + 1 : -1
      scratch.symbols[index].next = Int32(next)
      let rank =
        next < 0
        ? PairTable.absent
        : self.rank(scratch.symbols[index].id, scratch.symbols[next].id, vocabulary: vocabulary, blocks: blocks)
      scratch.symbols[index].rank = rank
      if rank >= 0 { try scratch.queue.appendUnordered(rank: rank, position: Int32(index)) }
    }
    scratch.queue.restoreOrder()
    while let (rank, position) = scratch.queue.pop() {
      let left = Int(position)
      guard scratch.symbols[left].rank == rank else { continue }
      let right = Int(scratch.symbols[left].next)
      let next = scratch.symbols[right].next
      scratch.symbols[left].id = merged[Int(rank)]
      scratch.symbols[left].next = next
      scratch.symbols[right].id = Symbol.removed
      scratch.symbols[right].rank = PairTable.absent
      if next >= 0 { scratch.symbols[Int(next)].previous = position }
      try updateRank(position, vocabulary: vocabulary, blocks: blocks, scratch: &scratch)
      try updateRank(scratch.symbols[left].previous, vocabulary: vocabulary, blocks: blocks, scratch: &scratch)
    }
  }

  /// Looks up the pair that begins at `position` again and puts it into the queue; -1 stands for no position.
  private func updateRank(
    _ position: Int32, vocabulary: borrowing Vocabulary, blocks: Bool, scratch: inout Scratch
  ) throws(XverseError) {
    guard position >= 0 else { return }
    let symbol = scratch.symbols[Int(position)]
    let rank =
      symbol.next < 0
      ? PairTable.absent
      : self.rank(symbol.id, scratch.symbols[Int(symbol.next)].id, vocabulary: vocabulary, blocks: blocks)
    scratch.symbols[Int(position)].rank = rank
    if rank >= 0 { try scratch.queue.push(rank: rank, position: position) }
  }

  private func rank(_ left: Int32, _ right: Int32, vocabulary: borrowing Vocabulary, blocks: Bool) -> Int32 {
    let rank = ranks[left, right]
    return rank >= 0 && blocks && vocabulary.isSpecial(merged[Int(rank)]) ? PairTable.absent : rank
  }

  // MARK: scratch

  /// A token of the piece under construction, linked to its neighbours.
  fileprivate struct Symbol: BitwiseCopyable {
    static let removed: Int32 = -1

    var id: Int32
    var previous: Int32
    /// Index of the next symbol, -1 at the end.
    var next: Int32
    /// Rank of the pair of this symbol and the next.
    var rank: Int32
  }

  /// Memory for one piece after the other. 16 bytes a character and 8 an entry of the queue.
  struct Scratch: ~Copyable {
    fileprivate var symbols: Buffer<Symbol>
    fileprivate var queue: MergeQueue

    init(allocator: MemoryAllocator) {
      symbols = Buffer(allocator: allocator)
      queue = MergeQueue(allocator: allocator)
    }

    /// Entries that all merging so far put into the queue.
    var queuedCount: Int { queue.addedCount }

    fileprivate mutating func append(_ id: Int32) throws(XverseError) {
      let index = Int32(symbols.count)
      try symbols.append(Symbol(id: id, previous: index - 1, next: -1, rank: PairTable.absent))
    }
  }
}
