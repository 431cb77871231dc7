// TokenizerDescription.swift -- a tokenizer as the metadata of a GGUF file describes it. The reader of the file fills in
// what is there; nothing of it is trusted.

import XverseCore

/// The keys `tokenizer.ggml.*` of a GGUF file (ggml, docs/gguf.md, "Tokenizer"). A list that is absent is empty.
package struct TokenizerDescription: ~Copyable {
  /// The file's name in messages.
  package var source: String
  /// `model`: "gpt2" or "llama".
  package var model: String
  /// `pre`: the name of the pre-tokenizer; only "gpt2" has one.
  package var preTokenizer: String?
  /// `tokens`, by id.
  package var tokens: TextList
  /// `scores`, by id: of the pieces of a text the one of the highest score is merged first; only "llama" has them.
  package var scores: Buffer<Float>
  /// `token_type`, by id: the raw values of `TokenKind`.
  package var types: Buffer<Int32>
  /// `merges`, each "left right", the first one first.
  package var merges: TextList
  /// `bos_token_id`, `eos_token_id`, `unknown_token_id`, `padding_token_id`.
  package var beginToken: Int?
  package var endToken: Int?
  package var unknownToken: Int?
  package var paddingToken: Int?
  /// `add_bos_token`: for the caller; `Tokenizer.encode` adds no token.
  package var addsBeginToken: Bool?
  /// `add_space_prefix`: whether a text, and what follows a token that was cut out of it, is encoded with a space before
  /// it; only "llama" heeds it. nil: yes where there are scores.
  package var addsSpacePrefix: Bool?

  /// Bytes of the longest token: every step of encoding looks at no more.
  static let maximumTokenLength = 4096
  /// Bytes of all tokens together, as in a tokenizer.json.
  static let maximumLength = TokenizerFile.maximumLength

  /// A description without tokens.
  ///
  /// - Parameter allocator: Of the lists' memory.
  package init(source: String, model: String, allocator: MemoryAllocator = .system) {
    self.source = source
    self.model = model
    tokens = TextList(allocator: allocator)
    scores = Buffer(allocator: allocator)
    types = Buffer(allocator: allocator)
    merges = TextList(allocator: allocator)
  }

  /// What to do when the description does not do.
  static let advice = "give the model's tokenizer.json beside the file or by the option 'tokenizer'"

  // MARK: complaints

  /// "model.gguf: 'tokenizer.ggml.tokens[5]'".
  func place(_ key: String, _ index: Int? = nil) -> String {
    "\(source): 'tokenizer.ggml.\(key)\(index.map { "[\($0)]" } ?? "")'"
  }

  func corrupt(_ key: String, at index: Int? = nil, _ fault: String) -> XverseError {
    .corrupt("\(place(key, index)) \(fault)")
  }

  func limit(_ key: String, at index: Int? = nil, _ fault: String) -> XverseError {
    .limit("\(place(key, index)) \(fault)")
  }

  func unsupported(_ key: String, value: String, expected: String) -> XverseError {
    .unsupported("\(place(key)) is \(value), which is not supported; expected \(expected), or \(Self.advice)")
  }

  /// The beginning of a text from the file in quotes, on one line.
  static func quoted(_ text: UnsafeRawBufferPointer) -> String {
    var result = "\""
    for scalar in String(decoding: text.prefix(40), as: UTF8.self).unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        result += "\\u{" + String(scalar.value, radix: 16) + "}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + (text.count > 40 ? "...\"" : "\"")
  }

  static func quoted(_ text: String) -> String {
    var text = text
    return text.withUTF8 { quoted(UnsafeRawBufferPointer($0)) }
  }

  // MARK: checks

  /// Checks everything that can be checked without regard to the model.
  func check() throws(XverseError) {
    guard tokens.count > 0 else { throw corrupt("tokens", "is empty, expected a token or more") }
    guard tokens.count <= Int(Int32.max) else {
      throw limit("tokens", "has \(tokens.count) tokens, expected at most \(Int32.max)")
    }
    for index in 0..<tokens.count where tokens[index].count > Self.maximumTokenLength {
      throw limit("tokens", at: index, "has \(tokens[index].count) bytes, expected at most \(Self.maximumTokenLength)")
    }
    guard tokens.byteCount <= Self.maximumLength else {
      throw limit("tokens", "has \(tokens.byteCount) bytes in all, expected at most \(Self.maximumLength)")
    }
    try checkIds()
    try checkTypes()
    try checkScores()
  }

  private func checkIds() throws(XverseError) {
    let ids = [
      ("bos_token_id", beginToken), ("eos_token_id", endToken), ("unknown_token_id", unknownToken),
      ("padding_token_id", paddingToken),
    ]
    for case (let key, let id?) in ids where id < 0 || id >= tokens.count {
      throw corrupt(key, "is \(id), expected an id from 0 to \(tokens.count - 1)")
    }
  }

  private func checkTypes() throws(XverseError) {
    guard !types.isEmpty else { return }
    guard types.count == tokens.count else { throw corrupt("token_type", Self.mismatch(types.count, tokens.count)) }
    for index in 0..<types.count where TokenKind(rawValue: types[index]) == nil {
      throw corrupt("token_type", at: index, "is \(types[index]), expected a type from 1 to 6")
    }
  }

  private func checkScores() throws(XverseError) {
    guard !scores.isEmpty else { return }
    guard scores.count == tokens.count else { throw corrupt("scores", Self.mismatch(scores.count, tokens.count)) }
    for index in 0..<scores.count where scores[index].isNaN {
      throw corrupt("scores", at: index, "is nan, expected a number")
    }
  }

  private static func mismatch(_ count: Int, _ expected: Int) -> String {
    "has \(count) values, expected \(expected), one for each token"
  }
}

/// What a token of a description is for.
enum TokenKind: Int32 {
  case normal = 1
  case unknown
  /// Special: found in a text only where that is asked for, and it steers the model.
  case control
  /// Cut out of every text before the model sees it.
  case userDefined
  /// Only its id exists.
  case unused
  /// `<0x00>` to `<0xFF>`.
  case byte

  var isSpecial: Bool { self == .unknown || self == .control }

  /// Whether the model knows the token: it may come out of ordinary text by merging.
  var isOfModel: Bool { self == .normal || self == .userDefined }
}
