// TokenizerJSON.swift -- small tokenizer.json texts for the tests. The expected ids and texts of the tests were made
// with Hugging Face's `tokenizers` 0.23 from the same files.

import XverseCore
@testable import XverseTokenizers

/// A tokenizer.json under construction. Ids are in order: leading tokens, characters, results of merges, byte tokens.
struct TokenizerJSON {
  var leading: [String] = []
  var characters = ""
  var merges: [(String, String)] = []
  var hasByteTokens = false
  /// Members of the file and of its model that replace or add to the usual ones, as JSON.
  var root: [String: String] = [:]
  var model: [String: String] = [:]

  var vocabulary: [String] {
    leading + characters.unicodeScalars.map { String($0) } + merges.map { $0 + $1 }
      + (hasByteTokens ? (UInt8.min...UInt8.max).map(ByteToken.content(of:)) : [])
  }

  var text: String {
    var model = [
      "type": "\"BPE\"", "byte_fallback": "\(hasByteTokens)",
      "vocab": Self.object(vocabulary.enumerated().map { ($1, "\($0)") }),
      "merges": "[" + merges.map { "[\(Self.quoted($0)), \(Self.quoted($1))]" }.joined(separator: ", ") + "]",
    ]
    model.merge(self.model) { $1 }
    var root = ["version": "\"1.0\"", "model": Self.object(model.sorted { $0.key < $1.key }.map { ($0, $1) })]
    root.merge(self.root) { $1 }
    return Self.object(root.sorted { $0.key < $1.key }.map { ($0, $1) })
  }

  /// The same file with other members.
  func with(root: [String: String] = [:], model: [String: String] = [:]) -> TokenizerJSON {
    var copy = self
    copy.root.merge(root) { $1 }
    copy.model.merge(model) { $1 }
    return copy
  }

  func tokenizer() throws -> Tokenizer { try Tokenizer(text: text) }

  static func addedToken(
    _ id: Int, _ content: String, special: Bool = true, normalized: Bool = false, singleWord: Bool = false,
    stripsLeft: Bool = false, stripsRight: Bool = false
  ) -> String {
    """
    {"id": \(id), "content": \(quoted(content)), "single_word": \(singleWord), "lstrip": \(stripsLeft), \
    "rstrip": \(stripsRight), "normalized": \(normalized), "special": \(special)}
    """
  }

  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  private static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { "\(quoted($0)): \($1)" }.joined(separator: ", ") + "}"
  }
}

extension TokenizerJSON {
  static let wordMerges = [
    ("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("▁", "w"), ("o", "r"), ("▁w", "or"), ("▁wor", "l"),
    ("▁worl", "d"), ("▁", "a"),
  ]

  /// The pipeline of the XVERSE models.
  static let xverse = TokenizerJSON(
    leading: ["<sep>", "<pad>"], characters: "▁abcdehlorw123,.!中文\n", merges: wordMerges, hasByteTokens: true,
    root: [
      "added_tokens": "[\(addedToken(0, "<sep>")), \(addedToken(1, "<pad>"))]",
      "pre_tokenizer": """
      {"type": "Sequence", "pretokenizers": [
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true},
        {"type": "Digits", "individual_digits": true}, {"type": "Punctuation", "behavior": "Isolated"}]}
      """,
      "decoder": """
      {"type": "Sequence", "decoders": [
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true},
        {"type": "ByteFallback"}]}
      """,
    ])

  /// The pipeline of SentencePiece conversions such as stories260K.
  static let sentencePiece = TokenizerJSON(
    leading: ["<unk>", "<s>", "</s>"], characters: "▁abcdehlorw", merges: wordMerges, hasByteTokens: true,
    root: [
      "added_tokens": "[\(addedToken(0, "<unk>")), \(addedToken(1, "<s>")), \(addedToken(2, "</s>"))]",
      "normalizer": """
      {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
      """,
      "decoder": """
      {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
      """,
    ], model: ["unk_token": "\"<unk>\"", "fuse_unk": "true"])

  /// The pipeline of GPT-2.
  static let byteLevel = TokenizerJSON(
    leading: ["<|end|>"], characters: "abcdehlorswt'Ġ,12Ã©Ċðł",
    merges: [
      ("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("Ġ", "Ġ"), ("'", "s"), ("1", "2"), ("Ã", "©"),
      (",", ","), ("Ġ", "hello"),
    ],
    root: [
      "added_tokens": "[\(addedToken(0, "<|end|>"))]",
      "pre_tokenizer": byteLevelStep(prefix: false, pattern: true),
      "decoder": byteLevelStep(prefix: true, pattern: true),
    ])

  static func byteLevelStep(prefix: Bool, pattern: Bool) -> String {
    #"{"type": "ByteLevel", "add_prefix_space": \#(prefix), "trim_offsets": true, "use_regex": \#(pattern)}"#
  }
}

extension Tokenizer {
  convenience init(text: String, source: String = "tokenizer.json", allocator: MemoryAllocator = .system) throws {
    try self.init(bytes: Array(text.utf8), source: source, allocator: allocator)
  }

  convenience init(
    bytes: [UInt8], source: String = "tokenizer.json", allocator: MemoryAllocator = .system
  ) throws {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    try self.init(json: UnsafeRawBufferPointer(copy), source: source, allocator: allocator)
  }

  func ids(_ text: String, parsingSpecials: Bool = true) throws -> [Int32] {
    try ids(Array(text.utf8), parsingSpecials: parsingSpecials)
  }

  func ids(_ bytes: [UInt8], parsingSpecials: Bool = true) throws -> [Int32] {
    var tokens = Buffer<Int32>()
    try bytes.withUnsafeBytes { try encode($0, parsingSpecials: parsingSpecials, into: &tokens) }
    return Array(tokens.elements)
  }

  func text(_ tokens: [Int32], skippingSpecials: Bool = false) throws -> String {
    var text = Buffer<UInt8>()
    try tokens.withUnsafeBufferPointer { try decode($0, skippingSpecials: skippingSpecials, into: &text) }
    return text.text
  }

  /// The pieces that a detokenizer gives out, the one of `flush` last.
  func stream(_ tokens: [Int32], skippingSpecials: Bool = false) throws -> [String] {
    var detokenizer = Detokenizer(tokenizer: self, skippingSpecials: skippingSpecials)
    var pieces: [String] = []
    for token in tokens {
      var piece = Buffer<UInt8>()
      try detokenizer.push(token, into: &piece)
      pieces.append(piece.text)
    }
    var rest = Buffer<UInt8>()
    try detokenizer.flush(into: &rest)
    return pieces + [rest.text]
  }
}
