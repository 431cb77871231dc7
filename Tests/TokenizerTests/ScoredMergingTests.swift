// ScoredMergingTests.swift -- the order of merges by score, and the work that they take.

import Testing
import TestSupport
import XverseCore
@testable import XverseTokenizers

@Suite("ScoredMerging")
struct ScoredMergingTests {
  private static let letters = DescribedTokenizer(
    model: "llama", tokens: ["a", "b", "c", "ab", "bc", "abc", "aa", "aaaa", "cab"],
    scores: [-9, -9, -9, -1, -1, -7, -2, -2.5, .infinity], types: [Int32](repeating: 1, count: 9), prefix: false)

  @Test(
    "merges the highest score first, of equal scores the leftmost",
    arguments: [
      ("abc", [5]), ("bcab", [4, 3]), ("cab", [8]), ("aab", [0, 3]), ("aaaaaaa", [7, 6, 0]), ("aaaaab", [7, 3]),
      ("cabc", [8, 2]),
    ] as [(String, [Int32])])
  func order(text: String, ids: [Int32]) throws {
    #expect(try Self.letters.tokenizer().ids(text) == ids)
  }

  @Test("ranks have the reverse order of the scores, without the sign of a zero")
  func ranks() {
    let scores: [Float] = [
      .infinity, .greatestFiniteMagnitude, 2, 1, .leastNonzeroMagnitude, 0, -.leastNonzeroMagnitude, -1, -1.5,
      -.greatestFiniteMagnitude, -.infinity,
    ]
    let ranks = scores.map { UInt32(bitPattern: ScoredMerging.rank(ofScore: $0)) }
    #expect(ranks == ranks.sorted() && Set(ranks).count == scores.count)
    #expect(ranks.allSatisfy { Int32(bitPattern: $0) != MergeChain.unranked })
    #expect(ScoredMerging.rank(ofScore: -0.0) == ScoredMerging.rank(ofScore: 0))
  }

  @Test("agrees with merging the best pair of the whole text again and again")
  func agreesWithDefinition() throws {
    let tokenizer = try Self.letters.tokenizer()
    let scores = Dictionary(uniqueKeysWithValues: zip(Self.letters.tokens, Self.letters.scores))
    var random = SeededRandom(seed: 5)
    for _ in 0..<300 {
      let text = (0..<Int.random(in: 1...40, using: &random)).map { _ in "abc".randomElement(using: &random) ?? "a" }
      var pieces = text.map(String.init)
      while let best = pieces.indices.dropLast().compactMap({ index in
        scores[pieces[index] + pieces[index + 1]].map { (score: -$0, index: index) }
      }).min(by: { ($0.score, $0.index) < ($1.score, $1.index) }) {
        pieces[best.index] += pieces.remove(at: best.index + 1)
      }
      #expect(try tokenizer.ids(String(text)) == pieces.compactMap { tokenizer.token(named: $0) })
    }
  }

  @Test("a token may be made of characters that are none")
  func charactersWithoutToken() throws {
    let described = Self.letters.with { $0.tokens[3] = "xy" }
    #expect(try described.tokenizer().ids("xy") == [3])
  }

  @Test("bytes that are not UTF-8 become their byte tokens")
  func strayBytes() throws {
    let described = Self.letters.with {
      $0.tokens[7] = "<0xE4>"; $0.types[7] = 6
    }
    #expect(try described.tokenizer().ids([0x61, 0xE4, 0x61, 0x62]) == [0, 7, 3])
  }

  @Test("a text without a boundary takes work in proportion to its length", arguments: [UInt8(ascii: "a"), 0x0A])
  func longText(byte: UInt8) throws {
    let described = Self.letters.with {
      $0.tokens[8] = "<0x0A>"; $0.types[8] = 6
    }
    let tokenizer = try described.tokenizer()
    let count = 1 << 16
    let text = [UInt8](repeating: byte, count: count)
    var pass = tokenizer.makePass(parsingSpecials: false)
    var tokens = Buffer<Int32>()
    try text.withUnsafeBytes { try tokenizer.encode($0, pass: &pass, into: &tokens) }
    #expect(tokens.count == (byte == 0x0A ? count : count / 4))
    #expect(pass.queuedCount <= 3 * count)
  }
}
