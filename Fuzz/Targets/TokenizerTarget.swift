// TokenizerTarget.swift -- tokenizer.json, and texts through the tokenizer that it makes.

import XverseCore
import XverseTokenizers

extension FuzzTarget {
  /// The bytes are a tokenizer.json and, behind a byte FF, which no such file has, a text.
  static let tokenizer = FuzzTarget(name: "tokenizer") { bytes in
    let end = bytes.firstIndex(of: 0xFF) ?? bytes.count
    let file = UnsafeRawBufferPointer(rebasing: bytes[..<end])
    let text = UnsafeRawBufferPointer(rebasing: bytes[min(end + 1, bytes.count)...])
    try reading(bytes, multiple: 256, constant: 8 << 20) { allocator in
      let tokenizer = try Tokenizer(json: file, source: "tokenizer.json", allocator: allocator)
      try require(tokenizer.vocabularySize >= 0 && !tokenizer.kind.isEmpty, "no kind")
      for parsing in [false, true] { try check(tokenizer, text, parsingSpecials: parsing) }
      try Array("the <s> 中文  1\u{301}\n".utf8).withUnsafeBytes { try check(tokenizer, $0, parsingSpecials: true) }
    }
  }

  /// Whatever a text becomes are tokens, and whatever tokens become is text.
  private static func check(
    _ tokenizer: Tokenizer, _ text: UnsafeRawBufferPointer, parsingSpecials: Bool
  ) throws {
    // Of its own: a text may grow as its normalizer says.
    var tokens = Buffer<Int32>(allocator: .system)
    try tokenizer.encode(text, parsingSpecials: parsingSpecials, into: &tokens)
    let ids = 0..<Int32(tokenizer.vocabularySize)
    for token in tokens.elements {
      try require(ids.contains(token) && tokenizer.bytes(of: token) != nil, "token \(token) of \(ids)")
      if !parsingSpecials && tokenizer.isSpecial(token) {
        try require(token == tokenizer.unknownToken, "special token \(token) out of plain text")
      }
    }
    for skipping in [false, true] {
      var decoded = Buffer<UInt8>(allocator: .system)
      try tokenizer.decode(tokens.elements, skippingSpecials: skipping, into: &decoded)
      try require(isText(UnsafeRawBufferPointer(decoded.elements)), "decoded: \(Array(decoded.elements))")
      try checkStream(tokenizer, tokens.elements, decoded.elements, skippingSpecials: skipping)
    }
  }

  /// Streaming gives out whole characters, and together what `decode` makes of tokens that are all text.
  static func checkStream(
    _ tokenizer: Tokenizer, _ tokens: UnsafeBufferPointer<Int32>, _ decoded: UnsafeBufferPointer<UInt8>,
    skippingSpecials: Bool
  ) throws {
    var detokenizer = Detokenizer(tokenizer: tokenizer, skippingSpecials: skippingSpecials)
    var streamed = Buffer<UInt8>(allocator: .system)
    for token in tokens {
      let before = streamed.count
      try detokenizer.push(token, into: &streamed)
      let piece = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: streamed.elements[before...]))
      try require(isText(piece), "piece \(Array(piece)) of token \(token)")
    }
    try detokenizer.flush(into: &streamed)
    let replacement = String(decoding: streamed.elements, as: UTF8.self).unicodeScalars.contains("\u{FFFD}")
    try require(
      streamed.elements.elementsEqual(decoded) || replacement,
      "streamed \(Array(streamed.elements)), not \(Array(decoded))")
  }
}
