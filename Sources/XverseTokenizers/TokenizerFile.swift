// TokenizerFile.swift -- reads a tokenizer.json of Hugging Face's `tokenizers`: the vocabulary, the merges and the
// added tokens. The components of the pipeline read their own parts.

import XverseCore

/// The parsed file. Nothing in it is trusted, and nothing in it is silently ignored: what would change the ids and is not
/// known is rejected, the rest told in `warnings`.
struct TokenizerFile {
  /// Longest file; the largest in use are below 40 MiB.
  static let maximumLength = 256 << 20
  /// Ids below this are accepted in a file of any size; in a larger file, ids below its size in bytes.
  static let minimumIdLimit = 1 << 16

  let root: FileValue
  private let source: String
  private let idLimit: Int
  private let allocator: MemoryAllocator

  /// Sentences for people, complete when all parts have been read.
  var warnings: [String] { root.warnings.texts }

  init(_ bytes: UnsafeRawBufferPointer, source: String, allocator: MemoryAllocator) throws(XverseError) {
    guard bytes.count <= Self.maximumLength else {
      throw .limit("\(source): \(bytes.count) bytes, expected at most \(Self.maximumLength)")
    }
    let document = try JSONDocument(bytes, source: source, allocator: allocator)
    root = FileValue(value: document.root, path: "", warnings: FileWarnings())
    guard root.value.kind == .object else {
      throw .corrupt("\(source): \(root.value.kind.rawValue), expected an object")
    }
    self.source = source
    self.allocator = allocator
    idLimit = max(Self.minimumIdLimit, bytes.count)
  }

  // MARK: parts without a component

  /// Checks the parts that must change nothing.
  func checkUnusedParts() throws(XverseError) {
    let parts = [
      "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder",
      "model",
    ]
    // Hugging Face's `tokenizers` opens no file with another part.
    for (key, value) in root.value.members where !parts.contains(where: { key.equals($0) }) {
      throw root.member(value, key.snippet).unsupported(expected: "only the members \(parts.joined(separator: ", "))")
    }
    if let version = root["version"], try version.string() != "1.0" { throw version.unsupported(expected: "\"1.0\"") }
    // Transformers switches both off before it encodes: they are what the last batch of a training left behind.
    for key in ["truncation", "padding"] { root[key]?.warn(expected: "null: it is passed over") }
    guard let processor = root["post_processor"] else { return }
    for component in try processor.flattened("processors") {
      switch try component.type() {
      case "ByteLevel":
        component.expectKeys(["type", "add_prefix_space", "trim_offsets", "use_regex"])
      case "TemplateProcessing":
        try checkTemplate(component)
      default:
        throw component.unsupportedType(expected: "a component that leaves the text's own tokens alone")
      }
    }
  }

  /// A template for one text must be the text, once. Tokens beside it are for the caller to add, as they are with a GGUF
  /// file that asks for them: `Tokenizer.encode` adds none, and neither does transformers to a conversation.
  private func checkTemplate(_ template: FileValue) throws(XverseError) {
    let parts = try template.required("single")
    var texts = 0
    var added = 0
    for part in try parts.elements() {
      if part["Sequence"]?["id"]?.value.stringValue?.equals("A") == true {
        texts += 1
      } else if part["SpecialToken"] != nil {
        added += 1
      } else {
        throw part.unsupported(expected: "the sequence A or a special token")
      }
    }
    guard texts == 1 else { throw parts.unsupported(expected: "the sequence A once, and special tokens") }
    if added > 0 {
      parts.warn(
        expected: "the sequence A alone: special tokens are added to a text on request only, as with XVERSE_ENCODE_BOS")
    }
  }

  // MARK: vocabulary

  /// Reads `model.vocab`; the capacity includes the added tokens.
  func readVocabulary() throws(XverseError) -> Vocabulary {
    let model = try root.required("model")
    guard model.value.kind == .object else { throw model.corrupt(expected: "an object") }
    // Before the vocabulary, whose form depends on it.
    if let type = model["type"], try type.string() != "BPE" { throw type.unsupported(expected: "\"BPE\"") }
    let file = try model.required("vocab")
    guard file.value.kind == .object else { throw file.corrupt(expected: "an object") }
    var capacity = 0
    for _ in file.value.members { capacity += 1 }
    if let added = root["added_tokens"] { for _ in added.value.elements { capacity += 1 } }
    var vocabulary = try Vocabulary(capacity: capacity, allocator: allocator)
    var content = Buffer<UInt8>(allocator: allocator)
    for (key, value) in file.value.members {
      content.removeAll()
      try key.append(to: &content)
      let id = try id(value, in: { file.member(value, key.snippet) })
      guard !content.isEmpty else { throw .corrupt("\(source): '\(file.path)' has an empty token, its id is \(id)") }
      if let other = vocabulary.content(of: id) {
        throw file.member(value, key.snippet).corrupt(expected: "an id that is not the one of '\(Self.text(other))'")
      }
      try vocabulary.insert(UnsafeRawBufferPointer(content.elements), id: id)
    }
    return vocabulary
  }

  /// - Parameter place: Called for a message only: there are many ids.
  private func id(_ value: JSONValue, in place: () -> FileValue) throws(XverseError) -> Int32 {
    guard let number = value.int, let id = Int32(exactly: number), id >= 0 else {
      throw place().corrupt(expected: "an id from 0 to \(idLimit - 1)")
    }
    guard id < idLimit else {
      throw place().limit(expected: "an id below \(idLimit), the file's size in bytes or \(Self.minimumIdLimit)")
    }
    return id
  }

  // MARK: model

  /// Reads `model` but for the vocabulary, which must not hold the added tokens yet: merges cannot name those.
  func readModel(_ vocabulary: borrowing Vocabulary) throws(XverseError) -> BytePairEncoding {
    let file = try root.required("model")
    file.expectKeys([
      "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
      "ignore_merges", "vocab", "merges",
    ])
    if let dropout = file["dropout"], dropout.value.double != 0 { throw dropout.unsupported(expected: "null or 0") }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let affix = file[key], try !affix.string().isEmpty { throw affix.unsupported(expected: "null or \"\"") }
    }
    var options = BytePairEncoding.Options()
    options.usesByteFallback = try file.bool("byte_fallback", default: false)
    options.fusesUnknown = try file.bool("fuse_unk", default: false)
    options.ignoresMerges = try file.bool("ignore_merges", default: false)
    if let unknown = file["unk_token"] {
      options.unknownToken = vocabulary.id(of: try unknown.string())
      if options.unknownToken == nil {
        options.rejectsUnknown = true
        unknown.warn(expected: "a token of 'model.vocab': text with a character that the vocabulary lacks will fail")
      }
    }
    let merges = try file.required("merges")
    guard merges.value.kind == .array else { throw merges.corrupt(expected: "an array") }
    var mergeCount = 0
    for _ in merges.value.elements { mergeCount += 1 }
    var model = try BytePairEncoding(options: options, mergeCount: mergeCount, allocator: allocator)
    try insertCharacters(of: vocabulary, into: &model)
    try insertMerges(merges, vocabulary: vocabulary, into: &model)
    return model
  }

  private func insertCharacters(
    of vocabulary: borrowing Vocabulary, into model: inout BytePairEncoding
  ) throws(XverseError) {
    for id in 0..<Int32(vocabulary.idCount) {
      if let content = vocabulary.content(of: id) { try model.insert(content, id: id) }
    }
    for byte in UInt8.min...UInt8.max {
      if let id = vocabulary.id(of: ByteToken.content(of: byte)) { model.setByteToken(byte, id: id) }
    }
  }

  // MARK: merges

  /// Reads the merges in both spellings: "a b" and ["a", "b"].
  private func insertMerges(
    _ file: FileValue, vocabulary: borrowing Vocabulary, into model: inout BytePairEncoding
  ) throws(XverseError) {
    var pair = Buffer<UInt8>(allocator: allocator)
    var index = 0
    for merge in file.value.elements {
      defer { index += 1 }
      guard let split = try readMerge(merge, into: &pair) else {
        throw .corrupt(
          "\(source): '\(file.path)[\(index)]' is \(merge.snippet), expected \"a b\" or [\"a\", \"b\"]",
          offset: merge.offset)
      }
      // Old files carry the version line of the merges.txt that they were made from.
      if merge.kind == .string && pair.elements.starts(with: "#version".utf8) { continue }
      let bytes = UnsafeRawBufferPointer(pair.elements)
      let left = UnsafeRawBufferPointer(rebasing: bytes[..<split])
      let right = UnsafeRawBufferPointer(rebasing: bytes[split...])
      let ids = (vocabulary.id(of: left), vocabulary.id(of: right), vocabulary.id(of: bytes))
      guard let leftId = ids.0, let rightId = ids.1, let result = ids.2 else {
        let missing = ids.0 == nil ? left : ids.1 == nil ? right : bytes
        throw .corrupt(
          "\(source): '\(file.path)[\(index)]' is \(merge.snippet), but '\(Self.text(missing))' is not in "
            + "'model.vocab'", offset: merge.offset)
      }
      try model.insertMerge(leftId, rightId, into: result)
    }
  }

  /// Writes both halves of a merge to `pair`.
  ///
  /// - Returns: Where the second half begins; nil when the merge is malformed.
  private func readMerge(_ merge: JSONValue, into pair: inout Buffer<UInt8>) throws(XverseError) -> Int? {
    pair.removeAll()
    if let line = merge.stringValue {
      try line.append(to: &pair)
      let space = UInt8(ascii: " ")
      guard let split = pair.elements.firstIndex(of: space), pair.elements.lastIndex(of: space) == split else {
        return nil
      }
      for position in split..<pair.count - 1 { pair[position] = pair[position + 1] }
      pair.truncate(to: pair.count - 1)
      return split
    }
    var parts = merge.elements
    guard let left = parts.next()?.stringValue, let right = parts.next()?.stringValue, parts.next() == nil else {
      return nil
    }
    try left.append(to: &pair)
    let split = pair.count
    try right.append(to: &pair)
    return split
  }

  // MARK: added tokens

  /// Reads `added_tokens` and adds those that the model lacks to the vocabulary.
  func readAddedTokens(
    into vocabulary: inout Vocabulary, normalizer: Normalizer
  ) throws(XverseError) -> AddedTokens {
    guard let file = root["added_tokens"] else {
      return try AddedTokens(byteCount: 0, normalizedByteCount: 0, allocator: allocator)
    }
    guard file.value.kind == .array else { throw file.corrupt(expected: "an array") }
    var content = Buffer<UInt8>(allocator: allocator)
    var scratch = Normalizer.Scratch(allocator: allocator)
    // Twice over the tokens: the tries are made for the bytes that they will hold.
    var byteCounts = (plain: 0, normalized: 0)
    for (index, value) in file.value.elements.enumerated() {
      let token = file.element(value, index)
      guard !(try isEmpty(token)) else { continue }
      let count = try readText(of: token, content: &content, normalizer: normalizer, scratch: &scratch).count
      if try token.bool("normalized") { byteCounts.normalized += count } else { byteCounts.plain += count }
    }
    var addedTokens = try AddedTokens(
      byteCount: byteCounts.plain, normalizedByteCount: byteCounts.normalized, allocator: allocator)
    var ids = AddedIds(next: vocabulary.count, seen: IdSet(allocator: allocator))
    for (index, value) in file.value.elements.enumerated() {
      let token = file.element(value, index)
      guard !(try isEmpty(token)) else {
        try token.required("content").warn(expected: "a text that is not empty: it is passed over")
        continue
      }
      let text = try readText(of: token, content: &content, normalizer: normalizer, scratch: &scratch)
      var rule = try readRule(of: token)
      guard try insert(token, content: UnsafeRawBufferPointer(content.elements), &rule.id, &ids, into: &vocabulary)
      else { continue }
      let isNormalized = try token.bool("normalized")
      if rule.isSpecial { try vocabulary.markSpecial(rule.id) }
      if isNormalized { try vocabulary.setSpelling(text, of: rule.id) }
      guard try addedTokens.insert(text, isNormalized: isNormalized, rule: rule) else {
        throw try token.required("content")
          .unsupported(expected: "a text that no other added token has, normalized if need be")
      }
    }
    return addedTokens
  }

  private func isEmpty(_ token: FileValue) throws(XverseError) -> Bool {
    guard token.value.kind == .object else { throw token.corrupt(expected: "an object") }
    return try token.required("content").value.string == ""
  }

  private func readRule(of token: FileValue) throws(XverseError) -> AddedTokens.Rule {
    token.expectKeys(["id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"])
    let idFile = try token.required("id")
    return AddedTokens.Rule(
      id: try id(idFile.value, in: { idFile }), isSpecial: try token.bool("special"),
      isSingleWord: try token.bool("single_word"), stripsLeft: try token.bool("lstrip"),
      stripsRight: try token.bool("rstrip"))
  }

  /// The ids that added tokens have got.
  private struct AddedIds: ~Copyable {
    /// The one for the next token that the model does not know.
    var next: Int
    var seen: IdSet
  }

  /// Adds the token to the vocabulary unless that has it.
  ///
  /// As in Hugging Face's `tokenizers`, the file's id is only what is expected: a token of the model keeps its own, and
  /// others are numbered in the order of the file.
  ///
  /// - Parameter id: The file's; receives the one that counts.
  /// - Returns: false for a token that was added before.
  private func insert(
    _ token: FileValue, content: UnsafeRawBufferPointer, _ id: inout Int32, _ ids: inout AddedIds,
    into vocabulary: inout Vocabulary
  ) throws(XverseError) -> Bool {
    let file = try token.required("id")
    let expected = id
    if let known = vocabulary.id(of: content) {
      id = known
      if ids.seen.contains(known) {
        token.warn(expected: "no second token '\(Self.text(content))': it is passed over")
        return false
      }
    } else {
      // Where the ids of 'model.vocab' have gaps that id may be taken; then the file's is as good.
      if let next = Int32(exactly: ids.next), vocabulary.content(of: next) == nil { id = next }
      if let other = vocabulary.content(of: id) {
        throw file.corrupt(expected: "an id that is not the one of '\(Self.text(other))'")
      }
      try vocabulary.insertStranger(content, id: id)
    }
    try ids.seen.insert(id)
    ids.next = max(ids.next, Int(id) + 1)
    if id != expected { file.warn(expected: "\(id), which '\(Self.text(content))' gets in Hugging Face's tokenizers") }
    return true
  }

  /// Reads the content of an added token, and the text in which encoding will look for it.
  ///
  /// - Returns: Bytes in the memory of `content` or `scratch`.
  private func readText(
    of token: FileValue, content: inout Buffer<UInt8>, normalizer: Normalizer, scratch: inout Normalizer.Scratch
  ) throws(XverseError) -> UnsafeRawBufferPointer {
    guard token.value.kind == .object else { throw token.corrupt(expected: "an object") }
    let file = try token.required("content")
    guard let string = file.value.stringValue else { throw file.corrupt(expected: "a string") }
    content.removeAll()
    try string.append(to: &content)
    var text = UnsafeRawBufferPointer(content.elements)
    guard !text.isEmpty else { throw file.corrupt(expected: "a text that is not empty") }
    if try token.bool("normalized") {
      text = try normalizer.normalize(TextPiece(text: text), scratch: &scratch).bytes
      guard !text.isEmpty else { throw file.unsupported(expected: "a text that normalizes to one") }
    }
    guard text.count <= TokenTrie.maximumLength else {
      throw file.limit(expected: "at most \(TokenTrie.maximumLength) bytes, normalized if need be")
    }
    return text
  }

  /// The beginning of a token, for messages.
  private static func text(_ content: UnsafeRawBufferPointer) -> String {
    String(decoding: content.prefix(40), as: UTF8.self).inMessage + (content.count > 40 ? "..." : "")
  }
}
