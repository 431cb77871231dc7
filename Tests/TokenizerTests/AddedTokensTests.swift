// AddedTokensTests.swift -- how added tokens are cut out of a text, as Hugging Face does.

import Testing
@testable import XverseTokenizers

@Suite("AddedTokens")
struct AddedTokensTests {
  private func ids(
    _ text: String, _ tokens: [String], parsingSpecials: Bool = true, normalizer: String = "null"
  ) throws -> [Int32] {
    let root = ["added_tokens": "[\(tokens.joined(separator: ", "))]", "normalizer": normalizer]
    return try TokenizerJSON(characters: "abx< >▁", root: root).tokenizer().ids(text, parsingSpecials: parsingSpecials)
  }

  @Test(
    "lstrip and rstrip take white space with the token",
    arguments: [
      (true, false, "a  <x>  b", [0, 7, 4, 4, 1]), (false, true, "a  <x>  b", [0, 4, 4, 7, 1]),
      (false, true, "<x> <x>", [7, 7]),
    ] as [(Bool, Bool, String, [Int32])])
  func strip(left: Bool, right: Bool, text: String, expected: [Int32]) throws {
    #expect(try ids(text, [TokenizerJSON.addedToken(7, "<x>", stripsLeft: left, stripsRight: right)]) == expected)
  }

  @Test("a single-word token is ignored beside a word")
  func singleWord() throws {
    let token = TokenizerJSON.addedToken(7, "<x>", singleWord: true)
    #expect(try ids("a<x> <x> <x>b <x>", [token]) == [0, 3, 2, 5, 4, 7, 4, 3, 2, 5, 1, 4, 7])
  }

  @Test("of tokens that begin at the leftmost place the longest wins; specials count only when they are parsed")
  func leftmostLongest() throws {
    let tokens = [
      TokenizerJSON.addedToken(7, "<x>"), TokenizerJSON.addedToken(8, "<x>b", special: false),
      TokenizerJSON.addedToken(2, "x", special: false),
    ]
    #expect(try ids("<x>b<x>a<a<x", tokens) == [8, 7, 0, 3, 0, 3, 2])
    #expect(try ids("<x>b<x>a<a<x", tokens, parsingSpecials: false) == [8, 3, 2, 5, 0, 3, 0, 3, 2])
  }

  @Test(
    "a normalized token is looked for in normalized text, the others in the caller's",
    arguments: [
      ("a b", [7]), ("a▁b", [7]), ("b a", [8]), ("b▁a", [1, 6, 0]),
    ] as [(String, [Int32])])
  func normalized(text: String, expected: [Int32]) throws {
    let tokens = [
      TokenizerJSON.addedToken(7, "a b", special: false, normalized: true),
      TokenizerJSON.addedToken(8, "b a", special: false),
    ]
    let normalizer = #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#
    #expect(try ids(text, tokens, normalizer: normalizer) == expected)
  }

  @Test("rejects two tokens that are looked for as the same text")
  func equalTexts() throws {
    let tokens = [
      TokenizerJSON.addedToken(4, " ", special: false, normalized: true),
      TokenizerJSON.addedToken(6, "▁", special: false, normalized: true),
    ]
    #expect(throws: (any Error).self) {
      try ids("a", tokens, normalizer: #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#)
    }
  }

  @Test("a long run of white space that every token strips takes one walk")
  func manyStrips() throws {
    let token = TokenizerJSON.addedToken(4, " ", special: false, stripsRight: true)
    let count = 1 << 17
    #expect(try ids(String(repeating: " ", count: count), [token]).count == count)
  }
}
