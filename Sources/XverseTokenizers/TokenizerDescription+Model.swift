// TokenizerDescription+Model.swift -- the byte-pair model of a description: from its merges, its scores, or, where it has
// neither, from the order of its ids.

import XverseCore

/// What turns a piece of text into tokens.
enum TokenizerModel: ~Copyable {
  case pairs(BytePairEncoding)
  case scores(ScoredMerging)

  var unknownToken: Int32? {
    switch self {
    case .pairs(let model): model.options.unknownToken
    case .scores(let model): model.unknownToken
    }
  }

  func encode(
    _ piece: UnsafeRawBufferPointer, vocabulary: borrowing Vocabulary, allowsSpecials: Bool, scratch: inout MergeChain,
    into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    switch self {
    case .pairs(let model):
      try model.encode(
        piece, vocabulary: vocabulary, allowsSpecials: allowsSpecials, scratch: &scratch, into: &tokens)
    case .scores(let model):
      try model.encode(piece, vocabulary: vocabulary, scratch: &scratch, into: &tokens)
    }
  }
}

extension TokenizerDescription {
  /// Whether the scores tell an order: in a vocabulary without one they are absent, or the same for every token.
  var hasScores: Bool {
    var first: Float?
    for index in 0..<scores.count where kind(of: index) == .normal {
      if let first, scores[index] != first { return true }
      first = scores[index]
    }
    return false
  }

  /// Why encoding may give other ids than the tokenizer that the model was trained with; empty when there is no reason.
  var warnings: [String] {
    let guess: String
    if isSentencePiece {
      guard !hasScores && merges.count == 0 else { return [] }
      guess = "\(place("scores")) gives no order of merges, so that of the ids was taken for it"
    } else {
      guard preTokenizer == nil else { return [] }
      guess = "\(place("pre")) is missing, so \"default\" was taken for it"
    }
    return ["\(guess), and ids may differ from those that the model was trained with; to get those, \(Self.advice)"]
  }

  func readModel(_ vocabulary: borrowing Vocabulary, _ allocator: MemoryAllocator) throws(XverseError) -> TokenizerModel
  {
    if isSentencePiece && hasScores { return .scores(try scoredModel(allocator)) }
    var options = BytePairEncoding.Options()
    options.usesByteFallback = isSentencePiece
    options.unknownToken = isSentencePiece ? unknownToken.map(Int32.init) : nil
    options.fusesUnknown = true
    options.ignoresMerges = !isSentencePiece && Self.ignoresMerges(preTokenizer)
    var model = try BytePairEncoding(
      options: options, mergeCount: merges.count > 0 ? merges.count : tokens.count, allocator: allocator)
    for index in 0..<tokens.count {
      switch kind(of: index) {
      case .normal, .userDefined: try model.insert(content(of: index), id: Int32(index))
      case .byte: if let byte = byte(of: index) { model.setByteToken(byte, id: Int32(index)) }
      case .unknown, .control, .unused: break
      }
    }
    if merges.count > 0 {
      try insertMerges(vocabulary, into: &model, allocator)
    } else if isSentencePiece {
      try guessMerges(vocabulary, into: &model, allocator)
    } else {
      throw corrupt("merges", "is missing or empty")
    }
    return .pairs(model)
  }

  /// Whether a word that is a token is not built from merges: so it is in the tokenizers of Llama 3.
  private static func ignoresMerges(_ preTokenizer: String?) -> Bool {
    ["llama-bpe", "llama3", "llama-v3"].contains(preTokenizer)
  }

  /// The byte of a byte token that is spelled in capital digits; others are decoded, but no text is encoded to them.
  private func byte(of index: Int) -> UInt8? {
    guard let byte = ByteToken.byte(of: tokens[index]),
      tokens[index].elementsEqual(ByteToken.content(of: byte).utf8)
    else { return nil }
    return byte
  }

  // MARK: scores

  private func scoredModel(_ allocator: MemoryAllocator) throws(XverseError) -> ScoredMerging {
    var ranks = Buffer<Int32>(allocator: allocator)
    var byteTokens = try ByteFallback(allocator: allocator)
    var longest = 0
    for index in 0..<tokens.count {
      try ranks.append(ScoredMerging.rank(ofScore: scores[index]))
      let kind = kind(of: index)
      if kind.isOfModel { longest = max(longest, tokens[index].count) }
      if kind == .byte, let byte = byte(of: index) { byteTokens.set(byte, id: Int32(index)) }
    }
    return ScoredMerging(
      ranks: ranks, byteTokens: byteTokens, longest: longest, unknownToken: unknownToken.map(Int32.init))
  }

  // MARK: merges

  /// Reads the merges; of equal pairs the first one counts.
  private func insertMerges(
    _ vocabulary: borrowing Vocabulary, into model: inout BytePairEncoding, _ allocator: MemoryAllocator
  ) throws(XverseError) {
    var pair = Buffer<UInt8>(allocator: allocator)
    for index in 0..<merges.count {
      let line = merges[index]
      // A piece is never empty, so that the first byte is not the space between the two.
      guard let space = line.dropFirst().firstIndex(of: UInt8(ascii: " ")), space + 1 < line.count else {
        throw corrupt("merges", at: index, "is \(Self.quoted(line)), expected two pieces with a space between them")
      }
      let left = UnsafeRawBufferPointer(rebasing: line[..<space])
      let right = UnsafeRawBufferPointer(rebasing: line[(space + 1)...])
      pair.removeAll()
      try pair.append(bytes: left)
      try pair.append(bytes: right)
      let whole = UnsafeRawBufferPointer(pair.elements)
      let ids = (vocabulary.id(of: left), vocabulary.id(of: right), vocabulary.id(of: whole))
      guard let leftId = ids.0, let rightId = ids.1, let result = ids.2 else {
        let missing = ids.0 == nil ? left : ids.1 == nil ? right : whole
        throw corrupt(
          "merges", at: index, "is \(Self.quoted(line)), but \(Self.quoted(missing)) is not among the tokens")
      }
      if !model.hasMerge(leftId, rightId) { try model.insertMerge(leftId, rightId, into: result) }
    }
  }

  /// Takes the order of the ids for that of the merges, as it is where a vocabulary was learned by byte-pair encoding: a
  /// token is then the merge of the two pieces that the merges before it make of its text.
  private func guessMerges(
    _ vocabulary: borrowing Vocabulary, into model: inout BytePairEncoding, _ allocator: MemoryAllocator
  ) throws(XverseError) {
    var scratch = MergeChain(allocator: allocator)
    var pieces = Buffer<Int32>(allocator: allocator)
    for index in 0..<tokens.count where kind(of: index) == .normal {
      let content = content(of: index)
      pieces.removeAll()
      try model.encode(content, vocabulary: vocabulary, allowsSpecials: true, scratch: &scratch, into: &pieces)
      guard pieces.count == 2 else { continue }
      // Characters without a token may have been dropped, or be spelled by tokens of other texts.
      let lengths = (vocabulary.content(of: pieces[0])?.count ?? 0, vocabulary.content(of: pieces[1])?.count ?? 0)
      if lengths.0 + lengths.1 == content.count { try model.insertMerge(pieces[0], pieces[1], into: Int32(index)) }
    }
  }
}
