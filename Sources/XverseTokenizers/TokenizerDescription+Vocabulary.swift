// TokenizerDescription+Vocabulary.swift -- the tokens of a description and what each of them is for.

import XverseCore

extension TokenizerDescription {
  var isSentencePiece: Bool { model == "llama" }

  /// llama.cpp's converter writes the token U+0000 of the XVERSE models so, as a byte token.
  private static let spelledNUL = #"<b'\x00'>"#
  private static let nul: StaticString = "\0"

  /// The text of a token as the model knows it.
  func content(of index: Int) -> UnsafeRawBufferPointer {
    isSpelledNUL(index)
      ? UnsafeRawBufferPointer(start: Self.nul.utf8Start, count: Self.nul.utf8CodeUnitCount) : tokens[index]
  }

  private func isSpelledNUL(_ index: Int) -> Bool {
    !types.isEmpty && types[index] == TokenKind.byte.rawValue && tokens[index].elementsEqual(Self.spelledNUL.utf8)
  }

  /// The kind of a token whose type was checked. Without types its text and the ids of special tokens tell it; with
  /// them, a token that begins or ends texts is special even if the file calls it user-defined.
  func kind(of index: Int) -> TokenKind {
    let isBoundary = index == beginToken || index == endToken
    guard !types.isEmpty else {
      if isBoundary { return .control }
      if index == unknownToken { return .unknown }
      return isSentencePiece && ByteToken.byte(of: tokens[index]) != nil ? .byte : .normal
    }
    if isSpelledNUL(index) { return .normal }
    let kind = TokenKind(rawValue: types[index]) ?? .unused
    return kind == .userDefined && isBoundary ? .control : kind
  }

  /// Reads the tokens: those that the model does not know are strangers in the vocabulary.
  func readVocabulary(_ allocator: MemoryAllocator) throws(XverseError) -> Vocabulary {
    var vocabulary = try Vocabulary(capacity: tokens.count, allocator: allocator)
    for index in 0..<tokens.count {
      let kind = kind(of: index)
      guard kind != .unused else { continue }
      let content = content(of: index)
      guard !content.isEmpty else { throw corrupt("tokens", at: index, "is empty, expected a text") }
      if let other = vocabulary.id(of: content) {
        throw corrupt(
          "tokens", at: index, "is \(Self.quoted(tokens[index])), expected a text that is not token \(other)'s")
      }
      if kind == .byte { try checkByte(index) }
      if kind.isOfModel {
        try vocabulary.insert(content, id: Int32(index))
      } else {
        try vocabulary.insertStranger(content, id: Int32(index))
      }
      if kind.isSpecial { try vocabulary.markSpecial(Int32(index)) }
    }
    try vocabulary.extend(to: tokens.count)
    return vocabulary
  }

  private func checkByte(_ index: Int) throws(XverseError) {
    guard isSentencePiece else {
      throw corrupt("token_type", at: index, "is 6, a byte, expected a type from 1 to 5 with the model \"gpt2\"")
    }
    guard ByteToken.byte(of: tokens[index]) != nil else {
      throw corrupt(
        "tokens", at: index, "is \(Self.quoted(tokens[index])), expected \"<0x00>\" to \"<0xFF>\" as its type is byte")
    }
  }

  /// The tokens that are cut out of a text: special and user-defined ones.
  func readAddedTokens(_ allocator: MemoryAllocator) throws(XverseError) -> AddedTokens {
    // Twice over the tokens: the trie is made for the bytes that it will hold.
    var byteCount = 0
    for index in 0..<tokens.count where isAdded(index) {
      let count = tokens[index].count
      guard count <= TokenTrie.maximumLength else {
        throw limit(
          "tokens", at: index,
          "has \(count) bytes, expected at most \(TokenTrie.maximumLength) in a special or user-defined token")
      }
      byteCount += count
    }
    var addedTokens = try AddedTokens(byteCount: byteCount, normalizedByteCount: 0, allocator: allocator)
    for index in 0..<tokens.count where isAdded(index) {
      let rule = AddedTokens.Rule(
        id: Int32(index), isSpecial: kind(of: index).isSpecial, isSingleWord: false, stripsLeft: false,
        stripsRight: false)
      // The vocabulary has no text twice.
      _ = try addedTokens.insert(tokens[index], isNormalized: false, rule: rule)
    }
    return addedTokens
  }

  private func isAdded(_ index: Int) -> Bool {
    let kind = kind(of: index)
    return kind.isSpecial || kind == .userDefined
  }

  /// The tokens whose text is their spelling: those that are cut out of a text, and one that only looks like a byte.
  func readLiterals(_ allocator: MemoryAllocator) throws(XverseError) -> IdSet {
    var literals = IdSet(allocator: allocator)
    for index in 0..<tokens.count {
      let looksLikeByte = kind(of: index) == .normal && isSentencePiece && ByteToken.byte(of: tokens[index]) != nil
      if isAdded(index) || looksLikeByte { try literals.insert(Int32(index)) }
    }
    return literals
  }
}
