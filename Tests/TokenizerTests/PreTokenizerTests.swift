// PreTokenizerTests.swift -- where texts are cut, and the Unicode versions that decide it.

import Testing
import XverseCore
@testable import XverseTokenizers

@Suite("PreTokenizer")
struct PreTokenizerTests {
  /// The pieces of a text; bytes that are not UTF-8 appear as U+FFFD.
  private func pieces(_ bytes: [UInt8], _ step: String) throws -> [String] {
    let json = Array(step.utf8)
    return try json.withUnsafeBytes { json in
      let document = try JSONDocument(json, source: "step")
      return try pieces(
        bytes, PreTokenizer(FileValue(value: document.root, path: "pre_tokenizer", warnings: FileWarnings())))
    }
  }

  private func pieces(_ bytes: [UInt8], _ preTokenizer: PreTokenizer) throws -> [String] {
    let scratch = PreTokenizer.Scratch(for: preTokenizer, allocator: .system)
    var pieces: [String] = []
    try bytes.withUnsafeBytes { bytes in
      try preTokenizer.forEachPiece(of: TextPiece(text: bytes), scratch: scratch) { (piece) throws(XverseError) in
        pieces.append(String(decoding: piece, as: UTF8.self))
      }
    }
    return pieces
  }

  private func pieces(_ text: String, _ step: String) throws -> [String] { try pieces(Array(text.utf8), step) }

  @Test(
    "Metaspace cuts before every replacement character",
    arguments: [
      ("never", "a  b ", ["a", "▁", "▁b", "▁"]), ("always", "a b", ["▁a", "▁b"]), ("always", " a", ["▁a"]),
      ("first", "▁a", ["▁a"]),
    ])
  func metaspace(scheme: String, text: String, expected: [String]) throws {
    let step = #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "\#(scheme)"}"#
    #expect(try pieces(text, step) == expected)
  }

  @Test("Metaspace with 'first' prepends only to the piece at the start of the text")
  func metaspaceFirst() throws {
    let step = """
      {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}]}
      """
    #expect(try pieces("ab1c", step) == ["▁ab", "1", "c"])
    #expect(try pieces("1c", step) == ["▁1", "c"])
  }

  @Test(
    "Digits are the numbers of every script",
    arguments: [
      (true, "a12b", ["a", "1", "2", "b"]), (false, "a12b", ["a", "12", "b"]),
      (true, "x²½Ⅷ①٣四", ["x", "²", "½", "Ⅷ", "①", "٣", "四"]), (false, "7", ["7"]),
    ])
  func digits(individually: Bool, text: String, expected: [String]) throws {
    #expect(try pieces(text, #"{"type": "Digits", "individual_digits": \#(individually)}"#) == expected)
  }

  @Test(
    "Punctuation is that of ASCII and of Unicode 8",
    arguments: [
      ("Isolated", "a,.b。c$", ["a", ",", ".", "b", "。", "c", "$"]), ("Contiguous", "a,.b", ["a", ",.", "b"]),
      // U+20AC is a symbol; U+2E4E came with Unicode 11; U+166D was punctuation until Unicode 12.
      ("Isolated", "a€b", ["a€b"]), ("Isolated", "a\u{2E4E}b", ["a\u{2E4E}b"]),
      ("Isolated", "a\u{166D}b", ["a", "\u{166D}", "b"]),
    ])
  func punctuation(behavior: String, text: String, expected: [String]) throws {
    #expect(try pieces(text, #"{"type": "Punctuation", "behavior": "\#(behavior)"}"#) == expected)
  }

  @Test(
    "ByteLevel finds the words of the GPT-2 pattern",
    arguments: [
      ("Hello there  dear", ["Hello", "Ġthere", "Ġ", "Ġdear"]),
      ("I'll we've x'S 'tis", ["I", "'ll", "Ġwe", "'ve", "Ġx", "'", "S", "Ġ'", "tis"]),
      ("a12 b!?", ["a", "12", "Ġb", "!?"]), ("a\n\n b \n", ["a", "ĊĊ", "Ġb", "ĠĊ"]), ("\t\tx", ["ĉ", "ĉ", "x"]),
      ("''s'", ["''", "s", "'"]), ("'", ["'"]), (" ", ["Ġ"]), ("'re're'r", ["'re", "'re", "'", "r"]),
      // U+A7F1 is a letter since Unicode 17, which the pattern does not know yet.
      ("a\u{A7F1}", ["a", "êŁ±"]),
    ])
  func byteLevel(text: String, expected: [String]) throws {
    #expect(try pieces(text, TokenizerJSON.byteLevelStep(prefix: false, pattern: true)) == expected)
  }

  @Test("ByteLevel prepends a space where none is, and cuts nothing without the pattern")
  func byteLevelOptions() throws {
    #expect(try pieces("a b", TokenizerJSON.byteLevelStep(prefix: true, pattern: false)) == ["ĠaĠb"])
    #expect(try pieces(" a", TokenizerJSON.byteLevelStep(prefix: true, pattern: true)) == ["Ġa"])
  }

  @Test("a byte that is not UTF-8 is no digit, no punctuation, and a symbol to the GPT-2 pattern")
  func strayBytes() throws {
    #expect(try pieces([0x61, 0xFF, 0x31], #"{"type": "Digits", "individual_digits": true}"#) == ["a\u{FFFD}", "1"])
    let words = try pieces([0x61, 0xFF, 0x80, 0x62], TokenizerJSON.byteLevelStep(prefix: false, pattern: true))
    #expect(words == ["a", "ÿĢ", "b"])
  }

  @Test(
    "the pre-tokenizers of GGUF files cut as their patterns say",
    arguments: [
      ("gpt-2", "a1234 it's ", ["a", "1234", "Ġit", "'s", "Ġ"]), ("smollm", "a12 3", ["a", "1", "2", "Ġ", "3"]),
      ("default", "a1234567 x.,y$`", ["a", "123", "456", "7", "Ġx", ".,", "y", "$", "`"]),
      ("default", "12\u{0663}45", ["12Ù£45"]), ("default", " 1 \u{AB}x", ["Ġ", "1", "Ġ", "Â«", "x"]),
      ("llama-bpe", "I'LL x1234 'Tis", ["I", "'LL", "Ġx", "123", "4", "Ġ'", "Tis"]),
      ("llama-bpe", "(a) \tb!\n\nc", ["(a", ")", "Ġ", "ĉb", "!ĊĊ", "c"]),
      ("llama-bpe", "a \n \n  b  ", ["a", "ĠĊĠĊ", "Ġ", "Ġb", "ĠĠ"]), ("llama-bpe", "\n 1 \r", ["Ċ", "Ġ", "1", "Ġč"]),
      ("llama-bpe", "x  ?!  1", ["x", "Ġ", "Ġ?!", "Ġ", "Ġ", "1"]), ("llama-bpe", " ", ["Ġ"]), ("llama-bpe", "'", ["'"]),
      ("llama-bpe", "'\u{17F}a'v", ["'Å¿a", "'v"]),
    ])
  func named(name: String, text: String, expected: [String]) throws {
    #expect(try pieces(Array(text.utf8), #require(PreTokenizer(named: name))) == expected)
  }

  @Test("stray bytes are symbols to every named pattern")
  func strayBytesInNamed() throws {
    for name in ["default", "gpt-2", "smollm", "llama-bpe"] {
      let cut = try pieces([0x61, 0xFF, 0x80, 0x20, 0x62], #require(PreTokenizer(named: name)))
      #expect(cut == ["a", "ÿĢ", "Ġb"])
    }
  }

  @Test("unknown names have no pre-tokenizer")
  func unknownName() {
    for name in ["", "qwen2", "GPT-2", "tekken"] { #expect(PreTokenizer(named: name) == nil) }
  }
}
