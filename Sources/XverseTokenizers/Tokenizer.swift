// Tokenizer.swift -- text to ids and back, exactly as Hugging Face's `tokenizers` reads the same tokenizer.json, and as
// llama.cpp reads the same metadata of a GGUF file.

import XverseCore

/// A tokenizer.json, or the tokenizer of a GGUF file, ready for use.
///
/// Where the caller's text is not UTF-8 (which Hugging Face does not define), each byte that is part of no well-formed
/// character is an unknown character of one byte.
///
/// Threads: immutable; any number of callers.
package final class Tokenizer: @unchecked Sendable {
  /// What the tokenizer is built from, for people: "BPE, Metaspace, Digits, Punctuation, byte fallback".
  package let kind: String
  /// Sentences for people: what in the file is odd, or why the ids may differ from those of the tokenizer that the model
  /// was trained with, and what helps.
  package let warnings: [String]

  package let allocator: MemoryAllocator
  let vocabulary: Vocabulary
  let texts: TokenTexts
  let decoder: Decoder
  private let addedTokens: AddedTokens
  private let normalizer: Normalizer
  private let preTokenizer: PreTokenizer
  private let model: TokenizerModel

  /// Reads a tokenizer.json.
  ///
  /// Memory: while it loads, at most 256 times the file's size and 8 MiB.
  ///
  /// - Parameters:
  ///   - bytes: The file's content; not needed afterwards.
  ///   - source: The file's name in messages.
  /// - Throws: `.corrupt`; `.unsupported` for a component or an option that would change ids and is not implemented;
  ///   `.limit`; `.outOfMemory`.
  package init(
    json bytes: UnsafeRawBufferPointer, source: String, allocator: MemoryAllocator = .system
  ) throws(XverseError) {
    let file = try TokenizerFile(bytes, source: source, allocator: allocator)
    try file.checkUnusedParts()
    normalizer = try Normalizer(file.root["normalizer"])
    preTokenizer = try PreTokenizer(file.root["pre_tokenizer"])
    decoder = try Decoder(file.root["decoder"])
    var vocabulary = try file.readVocabulary()
    let model = try file.readModel(vocabulary)
    kind = (["BPE"] + preTokenizer.names + (model.options.usesByteFallback ? ["byte fallback"] : []))
      .joined(separator: ", ")
    self.model = .pairs(model)
    addedTokens = try file.readAddedTokens(into: &vocabulary, normalizer: normalizer)
    texts = try TokenTexts(
      of: vocabulary, decoder: decoder, literals: IdSet(allocator: allocator), source: source, allocator: allocator)
    self.vocabulary = vocabulary
    self.allocator = allocator
    warnings = file.warnings
  }

  /// Builds the tokenizer that a GGUF file describes.
  ///
  /// Ids are those of llama.cpp, but for three things: no special token comes out of ordinary text; the classes of
  /// characters are those of Hugging Face's `tokenizers`, which know some younger characters; and where neither scores
  /// nor merges are there, the merges are guessed from the order of the ids, which `warnings` then says.
  ///
  /// Memory: at most 128 times the size of the description, and 1 MiB.
  ///
  /// - Parameter description: Not needed afterwards.
  /// - Throws: `.corrupt`; `.unsupported` for a model or a pre-tokenizer that is not implemented; `.limit`;
  ///   `.outOfMemory`.
  package init(
    _ description: borrowing TokenizerDescription, allocator: MemoryAllocator = .system
  ) throws(XverseError) {
    try description.check()
    let pipeline = try description.pipeline()
    normalizer = pipeline.normalizer
    preTokenizer = pipeline.preTokenizer
    decoder = pipeline.decoder
    kind = pipeline.kind
    let vocabulary = try description.readVocabulary(allocator)
    model = try description.readModel(vocabulary, allocator)
    addedTokens = try description.readAddedTokens(allocator)
    texts = try TokenTexts(
      of: vocabulary, decoder: decoder, literals: description.readLiterals(allocator), source: description.source,
      allocator: allocator)
    self.vocabulary = vocabulary
    self.allocator = allocator
    warnings = description.warnings
  }

  // MARK: vocabulary

  /// Highest id + 1, added tokens included.
  package var vocabularySize: Int { vocabulary.idCount }

  /// Whether the token is an added token with `"special": true`, or of a GGUF file a control or the unknown token.
  package func isSpecial(_ token: Int32) -> Bool { vocabulary.isSpecial(token) }

  /// The token that stands for characters without one of their own; nil when there is none.
  package var unknownToken: Int32? { model.unknownToken }

  /// The id of the token that the file spells exactly so, such as "<|endoftext|>".
  package func token(named content: String) -> Int32? { vocabulary.id(of: content) }

  /// What the token stands for inside a text: possibly a part of a character. A special token is its content; an
  /// unused id is empty.
  ///
  /// - Returns: Bytes that live as long as the tokenizer; nil for an id outside `0..<vocabularySize`.
  package func bytes(of token: Int32) -> UnsafeRawBufferPointer? {
    guard token >= 0, token < vocabularySize else { return nil }
    return isSpecial(token) ? vocabulary.content(of: token) : texts[token]
  }

  /// What decoding of the token starts from; empty for an unused id.
  func spelling(of token: Int32) -> UnsafeRawBufferPointer {
    vocabulary.spelling(of: token) ?? UnsafeRawBufferPointer(start: nil, count: 0)
  }

  func isUnused(_ token: Int32) -> Bool { vocabulary.content(of: token) == nil }

  func checkRange(_ token: Int32) throws(XverseError) {
    guard token >= 0, token < vocabularySize else {
      throw .range("token \(token) is outside the vocabulary, expected 0 to \(vocabularySize - 1)")
    }
  }

  // MARK: encoding

  /// Appends the ids of a text. O(n log n).
  ///
  /// - Parameters:
  ///   - text: UTF-8, or nearly so.
  ///   - parsingSpecials: Whether the text of a special token is that token. If not, it is ordinary text, and no
  ///     special token but the one for unknown characters comes out of any text.
  /// - Throws: `.outOfMemory`, `.limit`; `tokens` is then unchanged.
  package func encode(
    _ text: UnsafeRawBufferPointer, parsingSpecials: Bool, into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    let before = tokens.count
    var pass = makePass(parsingSpecials: parsingSpecials)
    do {
      try encode(text, pass: &pass, into: &tokens)
    } catch {
      tokens.truncate(to: before)
      throw error
    }
  }

  func makePass(parsingSpecials: Bool) -> EncodingPass {
    EncodingPass(preTokenizer: preTokenizer, parsingSpecials: parsingSpecials, allocator: allocator)
  }

  /// Cuts the added tokens out of the caller's text, normalizes what lies between, and cuts again.
  func encode(
    _ text: UnsafeRawBufferPointer, pass: inout EncodingPass, into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    let whole = TextPiece(text: text)
    var cursor = AddedTokens.Cursor(text, isNormalized: false, allowsSpecials: pass.parsingSpecials)
    while let segment = addedTokens.next(&cursor) {
      switch segment {
      case .token(let token): try tokens.append(token)
      case .text(let range):
        let normalized = try normalizer.normalize(whole[range], scratch: &pass.normalizerScratch)
        try encode(normalized: normalized, pass: &pass, into: &tokens)
      }
    }
  }

  private func encode(
    normalized text: TextPiece, pass: inout EncodingPass, into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    var cursor = AddedTokens.Cursor(text.bytes, isNormalized: true, allowsSpecials: pass.parsingSpecials)
    while let segment = addedTokens.next(&cursor) {
      switch segment {
      case .token(let token): try tokens.append(token)
      case .text(let range):
        try preTokenizer.forEachPiece(of: text[range], scratch: pass.preTokenizerScratch) {
          (piece) throws(XverseError) in
          try model.encode(
            piece, vocabulary: vocabulary, allowsSpecials: pass.parsingSpecials, scratch: &pass.modelScratch,
            into: &tokens)
        }
      }
    }
  }

  /// The memory of one call of `encode`.
  struct EncodingPass: ~Copyable {
    fileprivate let parsingSpecials: Bool
    fileprivate var normalizerScratch: Normalizer.Scratch
    fileprivate let preTokenizerScratch: PreTokenizer.Scratch
    fileprivate var modelScratch: MergeChain

    /// Entries that merging put into the queue: the measure of the work done.
    var queuedCount: Int { modelScratch.queuedCount }

    fileprivate init(preTokenizer: PreTokenizer, parsingSpecials: Bool, allocator: MemoryAllocator) {
      self.parsingSpecials = parsingSpecials
      normalizerScratch = Normalizer.Scratch(allocator: allocator)
      preTokenizerScratch = PreTokenizer.Scratch(for: preTokenizer, allocator: allocator)
      modelScratch = MergeChain(allocator: allocator)
    }
  }

  // MARK: decoding

  /// Appends the text of the tokens: UTF-8 in which whatever is not text is U+FFFD. Unused ids have no text. Linear.
  ///
  /// - Throws: `.range` for an id outside `0..<vocabularySize`, `.outOfMemory`; `text` is then unchanged.
  package func decode(
    _ tokens: UnsafeBufferPointer<Int32>, skippingSpecials: Bool, into text: inout Buffer<UInt8>
  ) throws(XverseError) {
    let before = text.count
    do {
      for token in tokens { try checkRange(token) }
      var detokenizer = Detokenizer(tokenizer: self, skippingSpecials: skippingSpecials)
      var bytes = Buffer<UInt8>(allocator: allocator)
      var position = 0
      while position < tokens.count {
        let end = try readByteTokens(tokens, from: position, detokenizer, into: &bytes)
        if !bytes.isEmpty && !UTF8Scalar.isText(UnsafeRawBufferPointer(bytes.elements)) {
          try detokenizer.appendReplacements(bytes.count, to: &text)
          position = end
        } else {
          // A run of byte tokens that is text, and one token more, which is none of its bytes.
          for token in tokens[position..<min(end + 1, tokens.count)] { try detokenizer.push(token, into: &text) }
          position = end + 1
        }
      }
      try detokenizer.flush(into: &text)
    } catch {
      text.truncate(to: before)
      throw error
    }
  }

  /// Collects the bytes of the byte tokens from `start` on; tokens that decoding passes over do not end the run.
  ///
  /// - Returns: The index of the token that ends it.
  private func readByteTokens(
    _ tokens: UnsafeBufferPointer<Int32>, from start: Int, _ detokenizer: Detokenizer, into bytes: inout Buffer<UInt8>
  ) throws(XverseError) -> Int {
    bytes.removeAll()
    for position in start..<tokens.count {
      let token = tokens[position]
      if detokenizer.isAbsent(token) { continue }
      guard texts.isByte(token) else { return position }
      try bytes.append(bytes: texts[token])
    }
    return tokens.count
  }
}
