// ReferenceTokenizerTests.swift -- real tokenizers against ids that others published or computed.

import Foundation
import Testing
import TestSupport
import XverseCore
@testable import XverseTokenizers

@Suite("Reference tokenizers", .enabled(if: SharedData.isAvailable))
struct ReferenceTokenizerTests {
  private struct Vectors: Decodable {
    struct Vector: Decodable {
      let text: String
      let ids: [Int32]
      let special: Bool?
    }
    let official: [Vector]
    let derived: [Vector]
  }

  private struct Prompts: Decodable {
    struct Record: Decodable {
      let kind: String
      let text: String
      let token_ids: [Int32]
      let decoded: String
    }
    let records: [Record]
  }

  private func tokenizer(_ file: String) throws -> Tokenizer {
    try Tokenizer(bytes: Array(Data(contentsOf: URL(fileURLWithPath: SharedData.file(file)))), source: file)
  }

  private func decode<Value: Decodable>(_ type: Value.Type, _ file: String) throws -> Value {
    try JSONDecoder().decode(type, from: Data(contentsOf: URL(fileURLWithPath: SharedData.file(file))))
  }

  @Test("the XVERSE tokenizer agrees with the official and the derived vectors")
  func xverseVectors() throws {
    let tokenizer = try tokenizer("tokenizer/xverse-subset-tokenizer.json")
    let vectors = try decode(Vectors.self, "tokenizer/vectors.json")
    #expect(vectors.official.count + vectors.derived.count > 10)
    for vector in vectors.official + vectors.derived {
      #expect(try tokenizer.ids(vector.text, parsingSpecials: vector.special ?? false) == vector.ids)
      #expect(try tokenizer.text(vector.ids) == vector.text)
      #expect(try tokenizer.stream(vector.ids).joined() == vector.text)
    }
  }

  @Test("the XVERSE vocabulary alone, as a GGUF file has it, agrees with the same vectors")
  func xverseVocabulary() throws {
    struct File: Decodable {
      struct Model: Decodable { let vocab: [String: Int] }
      let model: Model
    }
    let vocabulary = try decode(File.self, "tokenizer/xverse-subset-tokenizer.json").model.vocab
    let count = (vocabulary.values.max() ?? -1) + 1
    var described = DescribedTokenizer(
      model: "llama", tokens: [String](repeating: "", count: count), types: [Int32](repeating: 5, count: count), eos: 3)
    for (token, id) in vocabulary {
      described.tokens[id] = token
      described.types[id] = id < 6 ? 3 : id > 100_277 ? 6 : 1
    }
    let tokenizer = try described.tokenizer()
    let vectors = try decode(Vectors.self, "tokenizer/vectors.json")
    for vector in vectors.official + vectors.derived {
      #expect(try tokenizer.ids(vector.text, parsingSpecials: vector.special ?? false) == vector.ids)
      #expect(try tokenizer.text(vector.ids) == vector.text)
    }
  }

  @Test("the stories260K tokenizer agrees with the reference prompts")
  func storiesPrompts() throws {
    let tokenizer = try tokenizer("data/stories260k-xverse/hf-f32/tokenizer.json")
    let prompts = try decode(Prompts.self, "data/refs/prompts.json")
    #expect(prompts.records.count > 50)
    for record in prompts.records {
      // The ids of a chat of several messages are those of its messages one by one.
      if record.kind != "chatmulti" { #expect(try tokenizer.ids(record.text) == record.token_ids) }
      #expect(try tokenizer.text(record.token_ids) == record.decoded)
      #expect(try tokenizer.stream(record.token_ids).joined() == record.decoded)
    }
  }
}
