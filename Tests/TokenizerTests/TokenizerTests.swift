// TokenizerTests.swift -- whole pipelines, text to ids and back.

import Testing
import XverseCore
@testable import XverseTokenizers

@Suite("Tokenizer")
struct TokenizerTests {
  @Test(
    "encodes as Hugging Face does with the XVERSE pipeline",
    arguments: [
      ("hello world", [25, 30]), ("  hello", [2, 2, 25]), ("a 12, world!\n", [3, 2, 13, 14, 16, 30, 18, 21]),
      ("中文é😀", [19, 20, 227, 201, 272, 191, 184, 160]), ("<sep>hello<pad>", [0, 25, 1]), ("", []), ("\0", [32]),
      ("<pad", [92, 144, 3, 6]), ("a<sep", [3, 92, 147, 7, 144]),
    ] as [(String, [Int32])])
  func encodesXverse(text: String, ids: [Int32]) throws {
    #expect(try TokenizerJSON.xverse.tokenizer().ids(text) == ids)
  }

  @Test(
    "encodes as Hugging Face does with a SentencePiece pipeline",
    arguments: [
      ("hello world", [3, 17, 22]), (" hello", [3, 3, 17]), ("<s>hello</s>world", [1, 3, 17, 2, 22]), ("", []),
      ("é", [3, 219, 193]), ("<s>", [1]),
    ] as [(String, [Int32])])
  func encodesSentencePiece(text: String, ids: [Int32]) throws {
    #expect(try TokenizerJSON.sentencePiece.tokenizer().ids(text) == ids)
  }

  @Test(
    "encodes as Hugging Face does with the GPT-2 pipeline",
    arguments: [
      ("hello world's", [26, 27, 8, 9, 7, 4, 29]), ("  hello", [14, 33]), ("12,,", [30, 32]),
      ("é  \n  hello", [31, 28, 20, 14, 33]), ("<|end|>hello", [0, 26]), ("hello\n", [26, 20]),
      ("'s 's ss", [29, 14, 13, 10, 14, 10, 10]), ("   ", [28, 14]),
    ] as [(String, [Int32])])
  func encodesByteLevel(text: String, ids: [Int32]) throws {
    #expect(try TokenizerJSON.byteLevel.tokenizer().ids(text) == ids)
  }

  @Test("leaves the text of special tokens text unless they are parsed")
  func specialsAsText() throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    let ids = try tokenizer.ids("<sep>hello", parsingSpecials: false)
    #expect(!ids.contains(0))
    #expect(try tokenizer.text(ids) == "<sep>hello")
  }

  @Test("no special token comes out of ordinary text by merging, as a character or as a whole piece")
  func specialsAreNotForged() throws {
    let special = "[\(TokenizerJSON.addedToken(2, "ab")), \(TokenizerJSON.addedToken(1, "b"))]"
    let file = TokenizerJSON(characters: "ab", merges: [("a", "b")], root: ["added_tokens": special])
    #expect(try file.tokenizer().ids("ab", parsingSpecials: true) == [2])
    #expect(try file.tokenizer().ids("aba", parsingSpecials: false) == [0, 0])
    let wholePieces = file.with(model: ["ignore_merges": "true"])
    #expect(try wholePieces.tokenizer().ids("ab", parsingSpecials: false) == [0])
  }

  @Test(
    "bytes that are not UTF-8 become their byte tokens and come back as U+FFFD",
    arguments: [
      [0x61, 0xFF, 0x62], [0xE4, 0xBD], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x80],
      [0xE4, 0x61],
    ] as [[UInt8]])
  func invalidUTF8(bytes: [UInt8]) throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    let ids = try tokenizer.ids(bytes)
    let restored = ids.flatMap { Array(tokenizer.bytes(of: $0) ?? UnsafeRawBufferPointer(start: nil, count: 0)) }
    #expect(restored == bytes)
    #expect(try tokenizer.text(ids).contains("\u{FFFD}"))
  }

  @Test("a well-formed character beside stray bytes is encoded as usual")
  func characterBesideStrayBytes() throws {
    let bytes: [UInt8] = [0xFF] + Array("中hello".utf8) + [0xE4]
    #expect(try TokenizerJSON.xverse.tokenizer().ids(bytes) == [32 + 0xFF, 19, 25, 32 + 0xE4])
  }

  @Test("stray bytes are bytes of the alphabet with ByteLevel")
  func strayBytesInByteLevel() throws {
    let tokenizer = try TokenizerJSON.byteLevel.tokenizer()
    // 0xC3 is the character Ã of the alphabet.
    #expect(try tokenizer.ids([0x61, 0xC3]) == [1, 18])
    #expect(try tokenizer.text([1, 18]) == "a\u{FFFD}")
  }

  @Test(
    "an id outside the vocabulary is a range error and leaves the text unchanged", arguments: [-1, 288, .max, .min])
  func idOutsideVocabulary(id: Int32) throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    var text = Buffer<UInt8>()
    try text.append(utf8: "before")
    let error = #expect(throws: XverseError.self) {
      try [25, id].withUnsafeBufferPointer { try tokenizer.decode($0, skippingSpecials: false, into: &text) }
    }
    #expect(error?.code == .range)
    #expect(error?.message == "token \(id) is outside the vocabulary, expected 0 to 287")
    #expect(text.text == "before")
    #expect(tokenizer.bytes(of: id) == nil)
  }

  @Test("an allocation that fails leaves the tokens unchanged")
  func refusedAllocation() throws {
    let file = TokenizerJSON.xverse.text
    let measuring = MemoryAllocator()
    _ = try Tokenizer(text: file, allocator: measuring)
    let limit = measuring.peak
    let tokenizer = try Tokenizer(text: file, allocator: MemoryAllocator(limit: limit))
    var tokens = Buffer<Int32>()
    try tokens.append(7)
    let text = [UInt8](repeating: 0x61, count: limit)
    let error = #expect(throws: XverseError.self) {
      try text.withUnsafeBytes { try tokenizer.encode($0, parsingSpecials: false, into: &tokens) }
    }
    #expect(error?.code == .outOfMemory)
    #expect(Array(tokens.elements) == [7])
  }

  @Test("tells what tokens are")
  func tokens() throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    #expect(tokenizer.vocabularySize == 288)
    #expect(tokenizer.token(named: "hello") == 25)
    #expect(tokenizer.token(named: "<sep>") == 0)
    #expect(tokenizer.token(named: "hell") == 24)
    #expect(tokenizer.token(named: "missing") == nil)
    #expect(tokenizer.isSpecial(0) && !tokenizer.isSpecial(25) && !tokenizer.isSpecial(-1) && !tokenizer.isSpecial(999))
    #expect(tokenizer.bytes(of: 30).map(Array.init) == Array(" world".utf8))
    #expect(tokenizer.bytes(of: 32 + 0xE4).map(Array.init) == [0xE4])
    #expect(tokenizer.bytes(of: 0).map(Array.init) == Array("<sep>".utf8))
    #expect(tokenizer.kind == "BPE, Metaspace, Digits, Punctuation, byte fallback")
  }

  @Test("U+0000 inside a text is an ordinary character")
  func nul() throws {
    let tokenizer = try TokenizerJSON.xverse.tokenizer()
    let ids = try tokenizer.ids("a\0b")
    #expect(ids == [3, 32, 4])
    #expect(try tokenizer.text(ids) == "a\0b")
  }

  @Test(
    "a text without a boundary takes work in proportion to its length",
    arguments: [
      (TokenizerJSON.xverse, 1 << 20), (.sentencePiece, 1 << 16), (.byteLevel, 1 << 16),
    ])
  func longWord(file: TokenizerJSON, count: Int) throws {
    let tokenizer = try file.tokenizer()
    let text = [UInt8](repeating: UInt8(ascii: "l"), count: count)
    var pass = tokenizer.makePass(parsingSpecials: false)
    var tokens = Buffer<Int32>()
    try text.withUnsafeBytes { try tokenizer.encode($0, pass: &pass, into: &tokens) }
    #expect(tokens.count >= count / 2 && tokens.count <= count / 2 + 1)
    // One entry a character at the start, at most two for each of at most `count` merges.
    #expect(pass.queuedCount <= 3 * (count + 1))
  }
}
