// DetokenizerTarget.swift -- streaming decoding of any ids in any number of texts, with tokenizers of every kind of
// byte spelling.

import XverseCore
import XverseTokenizers

extension FuzzTarget {
  /// The first byte chooses the tokenizer and whether special tokens are skipped. Each pair of bytes that follows is an
  /// id; FF FF ends a text.
  static let detokenizer = FuzzTarget(name: "detokenizer") { bytes in
    guard let choice = bytes.first else { return }
    let kinds = try kinds.get()
    let kind = kinds[Int(choice >> 1) % kinds.count]
    var tokens: [Int32] = []
    for position in stride(from: 1, to: bytes.count - 1, by: 2) {
      let number = Int32(bytes[position]) << 8 | Int32(bytes[position + 1])
      guard number != 0xFFFF else {
        try kind.check(tokens, skippingSpecials: choice & 1 == 1)
        tokens = []
        continue
      }
      tokens.append(number % Int32(kind.tokenizer.vocabularySize))
    }
    try kind.check(tokens, skippingSpecials: choice & 1 == 1)
  }

  private static let kinds = Result { try [TokenizerKind.fallback(), .stripping(), .alphabet()] }
}

/// A tokenizer whose tokens are known here.
private struct TokenizerKind: Sendable {
  let tokenizer: Tokenizer
  /// The first of 256 byte tokens, in tokenizers whose text is the text of their tokens one after the other.
  private let firstByte: Int32?
  /// Whether `decode` and streaming agree on bytes that are no text.
  private let agreesOnReplacements: Bool

  private static let byteTokens = (0..<256).map { byte in
    let digits = String(byte, radix: 16, uppercase: true)
    return byte < 16 ? "<0x0\(digits)>" : "<0x\(digits)>"
  }
  private static let metaspace = #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"}"#

  /// XVERSE's: a space is ▁, a byte of no character a token of its own.
  static func fallback() throws -> TokenizerKind {
    let words = ["<s>", "</s>", "a", "▁", "▁the", "中", "é", "😀", "\u{301}", "\n"]
    return try TokenizerKind(
      words + byteTokens, decoder: #"{"type": "Sequence", "decoders": [\#(metaspace), {"type": "ByteFallback"}]}"#,
      firstByte: Int32(words.count))
  }

  /// SentencePiece's: the same, but the text loses a space at its start.
  static func stripping() throws -> TokenizerKind {
    let steps = [
      #"{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}"#, #"{"type": "ByteFallback"}"#,
      #"{"type": "Fuse"}"#, #"{"type": "Strip", "content": " ", "start": 1, "stop": 0}"#,
    ]
    return try TokenizerKind(
      ["<s>", "</s>", "a", "▁", "▁▁", "▁the", "中"] + byteTokens,
      decoder: #"{"type": "Sequence", "decoders": [\#(steps.joined(separator: ", "))]}"#)
  }

  /// GPT-2's: tokens are bytes in an alphabet of their own, and end anywhere in a character.
  static func alphabet() throws -> TokenizerKind {
    try TokenizerKind(
      ["<s>", "</s>", "a", "Ġ", "Ġthe", "ä", "¸", "Ń", "ä¸", "ð", "ðŁ", "Ł", "ĺ", "Ģ", "Ã", "©", "í", "ł", "ÿ", "Ċ"],
      decoder: #"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}"#,
      agreesOnReplacements: true)
  }

  private init(
    _ tokens: [String], decoder: String, firstByte: Int32? = nil, agreesOnReplacements: Bool = false
  ) throws {
    var vocabulary = JSONWriter()
    vocabulary.beginObject()
    for (id, token) in tokens.enumerated() { vocabulary.write(id, token) }
    vocabulary.endObject()
    let special = #""single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true"#
    let file = """
      {"added_tokens": [{"id": 0, "content": "<s>", \(special)}, {"id": 1, "content": "</s>", \(special)}],
       "decoder": \(decoder), "model": {"type": "BPE", "vocab": \(vocabulary.text), "merges": []}}
      """
    tokenizer = try Array(file.utf8).withUnsafeBytes { try Tokenizer(json: $0, source: "tokenizer.json") }
    self.firstByte = firstByte
    self.agreesOnReplacements = agreesOnReplacements
  }

  func check(_ tokens: [Int32], skippingSpecials: Bool) throws {
    var decoded = Buffer<UInt8>(allocator: .system)
    var streamed = Buffer<UInt8>(allocator: .system)
    try tokens.withUnsafeBufferPointer { tokens in
      try tokenizer.decode(tokens, skippingSpecials: skippingSpecials, into: &decoded)
      try require(isText(UnsafeRawBufferPointer(decoded.elements)), "decoded: \(Array(decoded.elements))")
      try FuzzTarget.checkStream(tokenizer, tokens, decoded.elements, skippingSpecials: skippingSpecials)
    }
    var detokenizer = Detokenizer(tokenizer: tokenizer, skippingSpecials: skippingSpecials)
    for token in tokens {
      try rejects(token &+ Int32(tokenizer.vocabularySize), &detokenizer, &streamed)
      try detokenizer.push(token, into: &streamed)
    }
    try detokenizer.flush(into: &streamed)
    let text = String(decoding: streamed.elements, as: UTF8.self)
    if agreesOnReplacements {
      try require(streamed.elements.elementsEqual(decoded.elements), "streamed \(text), not \(decoded.text)")
    }
    if let firstByte {
      let expected = joined(tokens, firstByte, skippingSpecials: skippingSpecials)
      try require(text.utf8.elementsEqual(expected.utf8), "streamed \(text), not \(expected)")
    }
  }

  /// The text of the tokens, each run of byte tokens read as UTF-8 by Swift.
  private func joined(_ tokens: [Int32], _ firstByte: Int32, skippingSpecials: Bool) -> String {
    var text = ""
    var run: [UInt8] = []
    for token in tokens where !(skippingSpecials && tokenizer.isSpecial(token)) {
      if let byte = UInt8(exactly: token &- firstByte) {
        run.append(byte)
        continue
      }
      text += String(decoding: run, as: UTF8.self)
      run = []
      if let bytes = tokenizer.bytes(of: token) { text += String(decoding: bytes, as: UTF8.self) }
    }
    return text + String(decoding: run, as: UTF8.self)
  }

  /// An id outside the vocabulary changes nothing.
  private func rejects(_ token: Int32, _ detokenizer: inout Detokenizer, _ text: inout Buffer<UInt8>) throws {
    let before = text.count
    do throws(XverseError) {
      try detokenizer.push(token, into: &text)
    } catch {
      return try require(error.code == .range && text.count == before, "\(error)")
    }
    throw Violation("token \(token) of \(tokenizer.vocabularySize) is accepted")
  }
}
