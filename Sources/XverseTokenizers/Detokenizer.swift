// Detokenizer.swift -- turns ids into text while they are generated, a whole character at a time.

import XverseCore

/// Streaming decoding of one text after the other.
///
/// What `push` and `flush` append in all equals `Tokenizer.decode` of the same ids, but for byte tokens that are not
/// UTF-8: there each maximal ill-formed part becomes one U+FFFD, while `decode` replaces every byte of such a run.
/// Held back is at most one incomplete character. Special tokens that are skipped are as if absent; any other token
/// ends a character of byte tokens.
///
/// A value of fixed size: a copy is a snapshot. Threads: one at a time.
package struct Detokenizer {
  private let tokenizer: Tokenizer
  private let skippingSpecials: Bool
  private var assembler = UTF8Assembler()
  private var strip: LeadingStrip?
  private var isAtStart = true

  package init(tokenizer: Tokenizer, skippingSpecials: Bool) {
    self.tokenizer = tokenizer
    self.skippingSpecials = skippingSpecials
    strip = tokenizer.decoder.textStrip
  }

  /// Appends the text that became certain.
  ///
  /// - Throws: `.range` for an id outside the vocabulary, `.outOfMemory`; the text and this value are then unchanged.
  package mutating func push(_ token: Int32, into text: inout Buffer<UInt8>) throws(XverseError) {
    let before = (state: self, count: text.count)
    do {
      try tokenizer.checkRange(token)
      guard !isAbsent(token) else { return }
      try append(token, to: &text)
    } catch {
      self = before.state
      text.truncate(to: before.count)
      throw error
    }
  }

  /// Ends the text: an incomplete character becomes U+FFFD. The next `push` begins a new text.
  ///
  /// - Throws: `.outOfMemory`; the text and this value are then unchanged.
  package mutating func flush(into text: inout Buffer<UInt8>) throws(XverseError) {
    let before = (state: self, count: text.count)
    do {
      try endCharacter(to: &text)
    } catch {
      self = before.state
      text.truncate(to: before.count)
      throw error
    }
    self = Detokenizer(tokenizer: tokenizer, skippingSpecials: skippingSpecials)
  }

  /// Whether decoding passes over the token: an unused id, or a special token that is skipped.
  func isAbsent(_ token: Int32) -> Bool {
    tokenizer.isUnused(token) || (skippingSpecials && tokenizer.isSpecial(token))
  }

  // MARK: steps

  /// Appends a token that is not absent.
  mutating func append(_ token: Int32, to text: inout Buffer<UInt8>) throws(XverseError) {
    let isByte = tokenizer.texts.isByte(token)
    if !isByte && tokenizer.decoder.byteSpelling != .alphabet { try endCharacter(to: &text) }
    if let separator = tokenizer.decoder.separator, !isAtStart { try emit(separator, to: &text) }
    if isAtStart && !isByte && tokenizer.decoder.distinguishesFirst {
      var scratch = Decoder.Scratch(allocator: tokenizer.allocator)
      let spelling = tokenizer.spelling(of: token)
      try append(tokenizer.decoder.decode(spelling, isFirst: true, scratch: &scratch).bytes, to: &text)
    } else {
      try append(tokenizer.texts[token], to: &text)
    }
    isAtStart = false
  }

  /// Appends `count` times U+FFFD in place of byte tokens.
  mutating func appendReplacements(_ count: Int, to text: inout Buffer<UInt8>) throws(XverseError) {
    for _ in 0..<count { try emit(EncodedScalar("\u{FFFD}"), to: &text) }
    isAtStart = false
  }

  /// Appends the characters that the bytes complete.
  private mutating func append(_ bytes: UnsafeRawBufferPointer, to text: inout Buffer<UInt8>) throws(XverseError) {
    var position = 0
    while position < bytes.count {
      if assembler.isPending {
        if !assembler.accepts(bytes[position]) { try endCharacter(to: &text) }
      } else {
        let end = Self.endOfCharacters(in: bytes, from: position)
        try emit(UnsafeRawBufferPointer(rebasing: bytes[position..<end]), to: &text)
        position = end
        guard position < bytes.count else { return }
      }
      if let scalar = assembler.push(bytes[position]) { try emit(scalar, to: &text) }
      position += 1
    }
  }

  /// The end of the well-formed characters from `start` on.
  private static func endOfCharacters(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
    var position = start
    while position < bytes.count, let length = UTF8Scalar.length(in: bytes, at: position) { position += length }
    return position
  }

  private mutating func endCharacter(to text: inout Buffer<UInt8>) throws(XverseError) {
    guard assembler.isPending else { return }
    assembler.reset()
    try emit(EncodedScalar("\u{FFFD}"), to: &text)
  }

  // MARK: output

  private mutating func emit(_ scalar: EncodedScalar, to text: inout Buffer<UInt8>) throws(XverseError) {
    guard strip?.drops(scalar) != true else { return }
    for i in 0..<scalar.count { try text.append(scalar[i]) }
  }

  /// Appends whole characters.
  private mutating func emit(_ bytes: UnsafeRawBufferPointer, to text: inout Buffer<UInt8>) throws(XverseError) {
    try text.append(bytes: strip?.remainder(of: bytes) ?? bytes)
  }
}
