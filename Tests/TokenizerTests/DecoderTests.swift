// DecoderTests.swift -- ids to text, as Hugging Face's `decode`.

import Testing
import XverseCore
@testable import XverseTokenizers

@Suite("Decoder")
struct DecoderTests {
  private static let pieces = TokenizerJSON(
    leading: ["▁a▁b", "▁", "<s>", "a"], root: ["added_tokens": "[\(TokenizerJSON.addedToken(2, "<s>"))]"])

  @Test(
    "agrees with Hugging Face for the XVERSE pipeline",
    arguments: [
      ([25, 30, 2, 19, 227, 201, 272, 191, 184, 160], "hello world 中é😀", "hello world 中é😀"),
      ([0, 22, 1], "<sep>he<pad>", "he"), ([261, 32], "\u{FFFD}\u{FFFD}", "\u{FFFD}\u{FFFD}"), ([], "", ""),
    ] as [([Int32], String, String)])
  func xverse(ids: [Int32], text: String, withoutSpecials: String) throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    #expect(try tokenizer.text(ids) == text)
    #expect(try tokenizer.text(ids, skippingSpecials: true) == withoutSpecials)
  }

  @Test(
    "agrees with Hugging Face for a SentencePiece pipeline",
    arguments: [
      ([3, 17, 22], "hello world", "hello world"), ([1, 3, 3, 23], "<s>   a", "  a"), ([3, 3, 4], " a", " a"),
      // A run of byte tokens that is not UTF-8 as a whole: each byte is U+FFFD, the good ones too.
      ([252, 213, 184, 252, 4], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}a", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}a"),
      // A space that is a byte token is stripped like any other.
      ([56, 4], "a", "a"),
    ] as [([Int32], String, String)])
  func sentencePiece(ids: [Int32], text: String, withoutSpecials: String) throws {
    let tokenizer = try TokenizerJSON.sentencePiece.tokenizer()
    #expect(try tokenizer.text(ids) == text)
    #expect(try tokenizer.text(ids, skippingSpecials: true) == withoutSpecials)
  }

  @Test(
    "agrees with Hugging Face for the GPT-2 pipeline",
    arguments: [
      ([18, 19], "é"), ([19], "\u{FFFD}"), ([18, 1], "\u{FFFD}a"), ([21, 22, 22, 0, 1], "\u{FFFD}<|end|>a"),
    ] as [([Int32], String)])
  func byteLevel(ids: [Int32], text: String) throws {
    #expect(try TokenizerJSON.byteLevel.tokenizer().text(ids) == text)
  }

  @Test(
    "Metaspace drops every replacement character of the first token when encoding prepends one",
    arguments: [
      ([0, 0, 1], "ab a b "), ([2, 0], "<s> a b"), ([1, 1, 0], "  a b"),
    ] as [([Int32], String)])
  func firstToken(ids: [Int32], text: String) throws {
    let decoder = #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}"#
    #expect(try Self.pieces.with(root: ["decoder": decoder]).tokenizer().text(ids) == text)
  }

  @Test("without a decoder tokens are joined by spaces")
  func noDecoder() throws {
    let tokenizer = try Self.pieces.tokenizer()
    #expect(try tokenizer.text([0, 3, 2, 3]) == "▁a▁b a <s> a")
    #expect(try tokenizer.text([0, 3, 2, 3], skippingSpecials: true) == "▁a▁b a a")
  }

  @Test("Strip before Fuse strips every token")
  func stripsTokens() throws {
    let decoder = """
      {"type": "Sequence", "decoders": [
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
      """
    #expect(try Self.pieces.with(root: ["decoder": decoder]).tokenizer().text([0, 0, 1]) == "a ba b")
  }

  @Test("an added token that is found in normalized text is decoded from its normalized form")
  func normalizedAddedToken() throws {
    let tokens = [
      TokenizerJSON.addedToken(7, "a b", special: false, normalized: true),
      TokenizerJSON.addedToken(8, "b a", special: false),
    ]
    let file = TokenizerJSON(
      characters: "abx< >▁",
      root: [
        "added_tokens": "[\(tokens.joined(separator: ", "))]",
        "normalizer": #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#,
      ])
    #expect(try file.tokenizer().text([7, 8]) == "a▁b b a")
  }
}
