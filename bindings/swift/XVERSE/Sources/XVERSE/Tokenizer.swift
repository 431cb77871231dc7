// Tokenizer.swift -- text to token ids and back.

internal import CXverse

/// Text to token ids and back. Immutable: any number of tasks may use it.
public final class Tokenizer: Sendable {
  /// Tokens with a meaning of their own.
  public enum SpecialToken: Int32, Sendable {
    case endOfSequence = 1
    case beginningOfSequence, padding, unknown
  }

  private let owner: Handle
  // Unchecked: an immutable object of the library's, which `owner` keeps alive.
  nonisolated(unsafe) private let pointer: OpaquePointer?

  /// A model's tokenizer.
  init(of model: Handle) {
    owner = model
    pointer = xverse_model_tokenizer(model.pointer)
  }

  /// Loads a tokenizer without a model.
  ///
  /// - Parameter path: A tokenizer.json, its directory, or a GGUF file.
  public init(path: String) throws(XverseError) {
    owner = try Handle(free: { xverse_tokenizer_release($0) }) { xverse_tokenizer_open(path, $0) }
    pointer = owner.pointer
  }

  /// Highest id + 1.
  public var vocabularySize: Int { Int(xverse_tokenizer_vocab_size(pointer)) }

  /// The id of a special token, where there is one.
  public func id(of token: SpecialToken) -> Int32? {
    let id = xverse_tokenizer_special(pointer, token.rawValue)
    return id < 0 ? nil : id
  }

  /// The ids of a text.
  ///
  /// - Parameters:
  ///   - text: Any text.
  ///   - bos: Put the beginning-of-sequence token first.
  ///   - special: Recognize special tokens by their spelling, which else stay text.
  public func encode(_ text: String, bos: Bool = false, special: Bool = false) throws(XverseError) -> [Int32] {
    let flags = (bos ? Int32(XVERSE_ENCODE_BOS) : 0) | (special ? Int32(XVERSE_ENCODE_SPECIAL) : 0)
    return try [Int32](capacity: text.utf8.count / 2 + 16, filledWith: 0) { tokens, capacity, count in
      text.withBytes { xverse_tokenizer_encode(pointer, $0, $1, flags, tokens, capacity, count) }
    }
  }

  /// The text of ids. Errors: `range` (an id that does not exist).
  public func decode(_ tokens: [Int32], skipSpecial: Bool = false) throws(XverseError) -> String {
    var text: UnsafeMutablePointer<CChar>?
    var length = 0
    try check(
      tokens.withElements {
        xverse_tokenizer_decode(pointer, $0, $1, Self.flags(skipSpecial), &text, &length)
      })
    defer { xverse_free(text) }
    return String(bytes: text, count: length)
  }

  /// The bytes that a token adds to a text, which may be part of a character. Errors: `range`.
  public func bytes(of token: Int32) throws(XverseError) -> (bytes: [UInt8], isSpecial: Bool) {
    var bytes: UnsafePointer<CChar>?
    var length = 0
    var isSpecial: Int32 = 0
    try check(xverse_tokenizer_token_bytes(pointer, token, &bytes, &length, &isSpecial))
    return (Array(UnsafeRawBufferPointer(start: bytes, count: length)), isSpecial != 0)
  }

  /// Text from ids that come one by one.
  public func detokenizer(skipSpecial: Bool = false) throws(XverseError) -> Detokenizer {
    Detokenizer(
      try Handle(free: { xverse_detokenizer_free($0) }) {
        xverse_detokenizer_create(pointer, Self.flags(skipSpecial), $0)
      })
  }

  private static func flags(_ skipSpecial: Bool) -> Int32 { skipSpecial ? Int32(XVERSE_DECODE_SKIP_SPECIAL) : 0 }
}

/// Text from ids that come one by one; it never splits a character.
public final class Detokenizer {
  private let handle: Handle

  init(_ handle: Handle) { self.handle = handle }

  /// The text that became certain, often none. Errors: `range`.
  public func push(_ token: Int32) throws(XverseError) -> String {
    var text: UnsafePointer<CChar>?
    var length = 0
    try check(xverse_detokenizer_push(handle.pointer, token, &text, &length))
    return String(bytes: text, count: length)
  }

  /// The text that was held back; ends the text.
  public func flush() throws(XverseError) -> String {
    var text: UnsafePointer<CChar>?
    var length = 0
    try check(xverse_detokenizer_flush(handle.pointer, &text, &length))
    return String(bytes: text, count: length)
  }
}
