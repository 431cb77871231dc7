// DetokenizerTests.swift -- streaming gives out the text of decode, a whole character at a time.

import Testing
import TestSupport
import XverseCore
@testable import XverseTokenizers

@Suite("Detokenizer")
struct DetokenizerTests {
  @Test(
    "agrees with decode where byte tokens are well-formed",
    arguments: [
      TokenizerJSON.xverse, .sentencePiece, .byteLevel, .xverse.with(root: ["decoder": "null"]),
      .xverse.with(root: ["decoder": #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}"#]),
    ])
  func agreesWithDecode(file: TokenizerJSON) throws {
    let tokenizer = try file.tokenizer()
    var random = SeededRandom(seed: 1)
    let words = ["hello", " world", "  ", "中", "é", "😀", "\n", " a", "1", "<sep>", "</s>", "<|end|>", "\u{FFFD}"]
    for _ in 0..<200 {
      let count = Int.random(in: 0...8, using: &random)
      let text = (0..<count).map { _ in words[Int.random(in: 0..<words.count, using: &random)] }
      let ids = try tokenizer.ids(text.joined())
      for skipping in [false, true] {
        let pieces = try tokenizer.stream(ids, skippingSpecials: skipping)
        #expect(try pieces.joined() == tokenizer.text(ids, skippingSpecials: skipping))
      }
    }
  }

  @Test("agrees with decode for every sequence of ids with ByteLevel")
  func agreesWithLossyDecode() throws {
    let tokenizer = try TokenizerJSON.byteLevel.tokenizer()
    var random = SeededRandom(seed: 2)
    for _ in 0..<500 {
      let ids = (0..<8).map { _ in Int32.random(in: 0..<Int32(tokenizer.vocabularySize), using: &random) }
      #expect(try tokenizer.stream(ids).joined() == tokenizer.text(ids))
    }
  }

  @Test("holds back the bytes of a character until the last one")
  func holdsBackCharacter() throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    let ids = try tokenizer.ids("a😀b")
    #expect(try tokenizer.stream(ids) == ["a", "", "", "", "😀", "b", ""])
  }

  @Test("a token that cannot continue a character ends it at once as U+FFFD")
  func endsCharacter() throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    let byte = { (value: Int32) in 32 + value }
    #expect(try tokenizer.stream([byte(0xF0), byte(0x9F), 25]) == ["", "", "\u{FFFD}hello", ""])
    #expect(try tokenizer.stream([byte(0xE4), byte(0xE4), byte(0xBD), byte(0xA0)]) == ["", "\u{FFFD}", "", "你", ""])
    #expect(try tokenizer.stream([byte(0xFF), byte(0x80)]) == ["\u{FFFD}", "\u{FFFD}", ""])
    #expect(try tokenizer.stream([byte(0xE4), 0, 25]) == ["", "\u{FFFD}<sep>", "hello", ""])
  }

  @Test("a skipped special token is as if absent")
  func skippedSpecial() throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    let ids: [Int32] = [32 + 0xE4, 0, 32 + 0xBD, 32 + 0xA0]
    #expect(try tokenizer.stream(ids, skippingSpecials: true) == ["", "", "", "你", ""])
    #expect(try tokenizer.text(ids, skippingSpecials: true) == "你")
  }

  @Test("flush turns an incomplete character into U+FFFD and begins a new text")
  func flush() throws {
    let tokenizer = try TokenizerJSON.sentencePiece.tokenizer()
    var detokenizer = Detokenizer(tokenizer: tokenizer, skippingSpecials: false)
    var text = Buffer<UInt8>()
    let incomplete = try #require(tokenizer.token(named: "<0xE4>"))
    for token in try tokenizer.ids("hello") + [incomplete] { try detokenizer.push(token, into: &text) }
    #expect(text.text == "hello")
    try detokenizer.flush(into: &text)
    #expect(text.text == "hello\u{FFFD}")
    // The space that a text begins with is stripped again.
    for token in try tokenizer.ids("hello") { try detokenizer.push(token, into: &text) }
    #expect(text.text == "hello\u{FFFD}hello")
  }

  @Test("strips one leading space of the text, not of a token")
  func stripsLeadingSpace() throws {
    let tokenizer = try TokenizerJSON.sentencePiece.tokenizer()
    #expect(try tokenizer.stream([3, 3, 4, 3, 4]) == ["", " ", "a", " ", "a", ""])
    #expect(try tokenizer.stream([4, 3]) == ["a", " ", ""])
  }

  @Test("an id outside the vocabulary leaves text and state unchanged")
  func idOutsideVocabulary() throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    var detokenizer = Detokenizer(tokenizer: tokenizer, skippingSpecials: false)
    var text = Buffer<UInt8>()
    let ids = try tokenizer.ids("😀")
    try detokenizer.push(ids[0], into: &text)
    let error = #expect(throws: XverseError.self) { try detokenizer.push(-1, into: &text) }
    #expect(error?.code == .range)
    for token in ids.dropFirst() { try detokenizer.push(token, into: &text) }
    #expect(text.text == "😀")
  }

  @Test("a refused allocation leaves text and state unchanged")
  func refusedAllocation() throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    var detokenizer = Detokenizer(tokenizer: tokenizer, skippingSpecials: false)
    var text = Buffer<UInt8>()
    var full = Buffer<UInt8>(allocator: MemoryAllocator(limit: 1))
    let ids = try tokenizer.ids("😀")
    for token in ids.dropLast() { try detokenizer.push(token, into: &text) }
    #expect(throws: XverseError.self) { try detokenizer.push(ids[3], into: &full) }
    try detokenizer.push(ids[3], into: &text)
    #expect(text.text == "😀" && full.isEmpty)
  }
}
