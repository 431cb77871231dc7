// TokenizerFile.swift -- reads a tokenizer.json of Hugging Face's `tokenizers`: the vocabulary, the merges and the
// added tokens. The components of the pipeline read their own parts.

import XverseCore

/// The parsed file. Nothing in it is trusted, and nothing in it is ignored: what is unknown is rejected.
struct TokenizerFile {
  /// Longest file; the largest in use are below 40 MiB.
  static let maximumLength = 256 << 20
  /// Ids below this are accepted in a file of any size; in a larger file, ids below its size in bytes.
  static let minimumIdLimit = 1 << 16

  let root: FileValue
  private let source: String
  private let idLimit: Int
  private let allocator: MemoryAllocator

  init(_ bytes: UnsafeRawBufferPointer, source: String, allocator: MemoryAllocator) throws(XverseError) {
    guard bytes.count <= Self.maximumLength else {
      throw .limit("\(source): \(bytes.count) bytes, expected at most \(Self.maximumLength)")
    }
    let document = try JSONDocument(bytes, source: source, allocator: allocator)
    root = FileValue(value: document.root, path: "")
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
    // Padding pads a batch to one length; single texts, which are all there is here, stay as they are.
    try root.allowKeys([
      "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder",
      "model",
    ])
    if let version = root["version"], try version.string() != "1.0" { throw version.unsupported(expected: "\"1.0\"") }
    if let truncation = root["truncation"] { throw truncation.unsupported(expected: "null") }
    guard let processor = root["post_processor"] else { return }
    for component in try processor.flattened("processors") {
      switch try component.type() {
      case "ByteLevel":
        try component.allowKeys(["type", "add_prefix_space", "trim_offsets", "use_regex"])
      case "TemplateProcessing" where Self.addsNothing(component):
        continue
      default:
        throw component.unsupportedType(expected: "a component that adds no tokens")
      }
    }
  }

  /// Whether a template for one text is nothing but the text.
  private static func addsNothing(_ template: FileValue) -> Bool {
    guard let parts = template["single"], parts.value.kind == .array else { return false }
    var isText = false
    for part in parts.value.elements {
      guard !isText, part["Sequence"]?["id"]?.stringValue?.equals("A") == true else { return false }
      isText = true
    }
    return isText
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
      let id = try id(value, path: { "\(file.path).\(key.snippet)" })
      guard !content.isEmpty else { throw .corrupt("\(source): '\(file.path)' has an empty token, its id is \(id)") }
      if let other = vocabulary.content(of: id) {
        throw FileValue(value: value, path: "\(file.path).\(key.snippet)")
          .corrupt(expected: "an id that is not the one of '\(Self.text(other))'")
      }
      try vocabulary.insert(UnsafeRawBufferPointer(content.elements), id: id)
    }
    return vocabulary
  }

  /// - Parameter path: Called for a message only: there are many ids.
  private func id(_ value: JSONValue, path: () -> String) throws(XverseError) -> Int32 {
    guard let number = value.int, let id = Int32(exactly: number), id >= 0 else {
      throw FileValue(value: value, path: path()).corrupt(expected: "an id from 0 to \(idLimit - 1)")
    }
    guard id < idLimit else {
      throw FileValue(value: value, path: path()).limit(
        expected: "an id below \(idLimit), the file's size in bytes or \(Self.minimumIdLimit)")
    }
    return id
  }

  // MARK: model

  /// Reads `model` but for the vocabulary, which must not hold the added tokens yet: merges cannot name those.
  func readModel(_ vocabulary: borrowing Vocabulary) throws(XverseError) -> BytePairEncoding {
    let file = try root.required("model")
    try file.allowKeys([
      "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
      "ignore_merges", "vocab", "merges",
    ])
    if let dropout = file["dropout"] { throw dropout.unsupported(expected: "null") }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let affix = file[key], try !affix.string().isEmpty { throw affix.unsupported(expected: "null or \"\"") }
    }
    var options = BytePairEncoding.Options()
    options.usesByteFallback = try file.bool("byte_fallback", default: false)
    options.fusesUnknown = try file.bool("fuse_unk", default: false)
    options.ignoresMerges = try file.bool("ignore_merges", default: false)
    if let unknown = file["unk_token"] {
      guard let id = vocabulary.id(of: try unknown.string()) else {
        throw unknown.corrupt(expected: "a token of 'model.vocab'")
      }
      options.unknownToken = id
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
      let place = FileValue(value: merge, path: file.path)
      defer { index += 1 }
      guard let split = try readMerge(merge, into: &pair) else {
        throw .corrupt(
          "\(source): '\(place.path)[\(index)]' is \(merge.snippet), expected \"a b\" or [\"a\", \"b\"]",
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
          "\(source): '\(place.path)[\(index)]' is \(merge.snippet), but '\(Self.text(missing))' is not in "
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
      let token = FileValue(value: value, path: "\(file.path)[\(index)]")
      let count = try readText(of: token, content: &content, normalizer: normalizer, scratch: &scratch).count
      if try token.bool("normalized") { byteCounts.normalized += count } else { byteCounts.plain += count }
    }
    var addedTokens = try AddedTokens(
      byteCount: byteCounts.plain, normalizedByteCount: byteCounts.normalized, allocator: allocator)
    for (index, value) in file.value.elements.enumerated() {
      let token = FileValue(value: value, path: "\(file.path)[\(index)]")
      let text = try readText(of: token, content: &content, normalizer: normalizer, scratch: &scratch)
      let rule = try readRule(of: token)
      let isNormalized = try token.bool("normalized")
      try insert(token, content: UnsafeRawBufferPointer(content.elements), id: rule.id, into: &vocabulary)
      if rule.isSpecial { try vocabulary.markSpecial(rule.id) }
      if isNormalized { try vocabulary.setSpelling(text, of: rule.id) }
      guard try addedTokens.insert(text, isNormalized: isNormalized, rule: rule) else {
        throw try token.required("content")
          .unsupported(expected: "a text that no other added token has, normalized if need be")
      }
    }
    return addedTokens
  }

  private func readRule(of token: FileValue) throws(XverseError) -> AddedTokens.Rule {
    try token.allowKeys(["id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"])
    let idFile = try token.required("id")
    return AddedTokens.Rule(
      id: try id(idFile.value, path: { idFile.path }), isSpecial: try token.bool("special"),
      isSingleWord: try token.bool("single_word"), stripsLeft: try token.bool("lstrip"),
      stripsRight: try token.bool("rstrip"))
  }

  /// Adds the token unless the vocabulary has it under the same id.
  private func insert(
    _ token: FileValue, content: UnsafeRawBufferPointer, id: Int32, into vocabulary: inout Vocabulary
  ) throws(XverseError) {
    let idFile = try token.required("id")
    if let known = vocabulary.id(of: content) {
      guard known == id else { throw idFile.corrupt(expected: "\(known), the id of '\(Self.text(content))'") }
    } else if let other = vocabulary.content(of: id) {
      throw idFile.corrupt(expected: "an id that is not the one of '\(Self.text(other))'")
    } else {
      try vocabulary.insertStranger(content, id: id)
    }
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
