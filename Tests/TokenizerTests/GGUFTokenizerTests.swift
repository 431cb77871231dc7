// GGUFTokenizerTests.swift -- small tokenizers of GGUF files against the ids that llama.cpp and Hugging Face's
// `tokenizers` give: Tests/Fixtures/gguf-tokenizers.json, which scripts/make_gguf_tokenizer_vectors.py wrote.

import Foundation
import Testing
import TestSupport
import XverseCore
@testable import XverseTokenizers

@Suite("Tokenizers of GGUF files")
struct GGUFTokenizerTests {
  private struct Fixture: Decodable {
    struct Vectors: Decodable {
      let pre: String
      let ids: [[Int32]]
      /// By the index of the text, where special tokens make a difference.
      let specialIds: [String: [Int32]]
    }
    struct Expected: Decodable {
      let description: DescribedTokenizer
      let vectors: [Vectors]
      /// What each token is in a text, in hexadecimal digits.
      let pieces: [String]
    }
    struct Encoded: Decodable {
      let description: DescribedTokenizer
      let encoded: [[Int32]]
    }
    let texts: [String]
    let gpt2: Expected
    let llama: Expected
    let xverse: Encoded
  }

  private func fixture() throws -> Fixture {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(
      Fixture.self, from: Data(contentsOf: tests.appendingPathComponent("Fixtures/gguf-tokenizers.json")))
  }

  @Test("agree with llama.cpp for every pre-tokenizer, with special tokens as text and recognized")
  func agreesWithLlama() throws {
    let fixture = try fixture()
    for expected in [fixture.gpt2, fixture.llama] {
      for vectors in expected.vectors {
        let tokenizer = try expected.description.with { $0.pre = vectors.pre }.tokenizer()
        #expect(tokenizer.warnings.isEmpty)
        for (index, text) in fixture.texts.enumerated() {
          let special = vectors.specialIds["\(index)"] ?? vectors.ids[index]
          #expect(try tokenizer.ids(text, parsingSpecials: false) == vectors.ids[index], "\(vectors.pre): \(text)")
          #expect(try tokenizer.ids(text, parsingSpecials: true) == special, "\(vectors.pre): \(text)")
        }
      }
    }
  }

  @Test("tell the text of every token as llama.cpp does")
  func agreesOnPieces() throws {
    let fixture = try fixture()
    for expected in [fixture.gpt2, fixture.llama] {
      let tokenizer = try expected.description.with { $0.pre = "gpt-2" }.tokenizer()
      #expect(tokenizer.vocabularySize == expected.pieces.count)
      for (id, piece) in expected.pieces.enumerated() {
        let bytes = tokenizer.bytes(of: Int32(id)).map(Array.init) ?? []
        #expect(bytes.map { String(format: "%02x", $0) }.joined() == piece)
      }
    }
  }

  @Test("give back the texts that were encoded, whole and streamed")
  func roundTrip() throws {
    let fixture = try fixture()
    for described in [fixture.gpt2.description.with { $0.pre = "default" }, fixture.llama.description] {
      let tokenizer = try described.tokenizer()
      // "▁" comes back as a space, and a text that begins with a token that was cut out of it without the space after it.
      for text in fixture.texts where !text.contains("▁") {
        let ids = try tokenizer.ids(text, parsingSpecials: false)
        #expect(try tokenizer.stream(ids).joined() == tokenizer.text(ids))
        if !text.contains("<tool>") { #expect(try tokenizer.text(ids) == text) }
      }
    }
  }

  @Test("agree with the XVERSE pipeline of Hugging Face without scores and merges")
  func agreesWithXverse() throws {
    let fixture = try fixture()
    let tokenizer = try fixture.xverse.description.tokenizer()
    #expect(!tokenizer.warnings.isEmpty)
    for (text, ids) in zip(fixture.texts, fixture.xverse.encoded) {
      #expect(try tokenizer.ids(text) == ids, "\(text)")
      if !text.contains("▁") { #expect(try tokenizer.text(ids) == text) }
    }
  }
}
