// BytePairEncodingTests.swift -- the order of merges, and what becomes of characters that the vocabulary lacks.

import Testing
import TestSupport
import XverseCore
@testable import XverseTokenizers

@Suite("BytePairEncoding")
struct BytePairEncodingTests {
  private static let letters = TokenizerJSON(
    leading: ["<unk>"], characters: "ab", merges: [("a", "b"), ("a", "a"), ("aa", "aa"), ("b", "a")])

  @Test(
    "merges the lowest rank first, of equal ranks the leftmost",
    arguments: [
      ("aaaaaaa", [5, 4, 1]), ("abab", [3, 3]), ("aab", [1, 3]), ("bab", [2, 3]), ("aaaab", [4, 1, 3]),
    ] as [(String, [Int32])])
  func mergeOrder(text: String, ids: [Int32]) throws {
    #expect(try Self.letters.tokenizer().ids(text) == ids)
  }

  @Test(
    "an unknown character is one unknown token, fused or not, or dropped",
    arguments: [
      (#""<unk>""#, false, "azzb", [1, 0, 0, 2]), (#""<unk>""#, true, "azzb", [1, 0, 2]),
      (#""<unk>""#, true, "zz", [0]),
      (#""<unk>""#, false, "zazz", [0, 1, 0, 0]), ("null", false, "azzb", [3]), ("null", true, "zz", []),
    ] as [(String, Bool, String, [Int32])])
  func unknown(token: String, fuses: Bool, text: String, ids: [Int32]) throws {
    let file = Self.letters.with(model: ["unk_token": token, "fuse_unk": "\(fuses)"])
    #expect(try file.tokenizer().ids(text) == ids)
  }

  @Test(
    "byte fallback needs the tokens of all bytes of a character",
    arguments: [
      ("aéb", [3, 1, 2, 4]), ("a中b", [3, 0, 4]), ("中é中a", [1, 2, 0, 0, 3]),
    ] as [(String, [Int32])])
  func incompleteByteTokens(text: String, ids: [Int32]) throws {
    let file = TokenizerJSON(
      leading: ["<unk>", "<0xC3>", "<0xA9>"], characters: "ab",
      model: ["byte_fallback": "true", "unk_token": #""<unk>""#])
    #expect(try file.tokenizer().ids(text) == ids)
  }

  @Test(
    "a piece that is a token needs no merges when the model says so",
    arguments: [
      ("ab", [3]), ("aba", [3, 1]), ("bab", [4]),
    ] as [(String, [Int32])])
  func ignoresMerges(text: String, ids: [Int32]) throws {
    let file = TokenizerJSON(
      leading: ["<unk>"], characters: "ab", merges: [("a", "b"), ("b", "ab")], model: ["ignore_merges": "true"])
    #expect(try file.tokenizer().ids(text) == ids)
  }

  @Test("agrees with merging the best pair of the whole text again and again")
  func agreesWithDefinition() throws {
    let tokenizer = try Self.letters.tokenizer()
    let ranks = Dictionary(uniqueKeysWithValues: Self.letters.merges.enumerated().map { ("\($1.0) \($1.1)", $0) })
    var random = SeededRandom(seed: 3)
    for _ in 0..<300 {
      let text = (0..<Int.random(in: 1...40, using: &random)).map { _ in Bool.random(using: &random) ? "a" : "b" }
      var pieces = text
      while let best = pieces.indices.dropLast().compactMap({ index in
        ranks["\(pieces[index]) \(pieces[index + 1])"].map { (rank: $0, index: index) }
      }).min(by: { ($0.rank, $0.index) < ($1.rank, $1.index) }) {
        pieces[best.index] += pieces.remove(at: best.index + 1)
      }
      #expect(try tokenizer.ids(text.joined()) == pieces.compactMap { tokenizer.token(named: $0) })
    }
  }
}
