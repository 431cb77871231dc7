// GGUFConfigurationTests.swift -- the shape of a model from GGUF metadata: the same as from config.json, or an error that
// names the key.

import TestSupport
import Testing
import XverseCore
import XverseFormats

@testable import XverseModels

/// A key with a value that it cannot have.
struct WrongKey: CustomTestStringConvertible, Sendable {
  let key: String
  let value: GGUFFile.Value?
  let code: XverseError.Code
  let words: String

  init(_ key: String, _ value: GGUFFile.Value?, _ code: XverseError.Code, _ words: String) {
    self.key = key
    self.value = value
    self.code = code
    self.words = words
  }

  var testDescription: String { "\(key): \(words)" }
}

@Suite("ModelConfiguration of GGUF")
struct GGUFConfigurationTests {
  private func configuration(_ file: GGUFFile) throws -> ModelConfiguration {
    let directory = try TemporaryDirectory()
    let location = try CheckpointLocation(path: directory.write("m.gguf", file.bytes))
    return try ModelConfiguration(gguf: GGUFDescription(location, allocator: .system))
  }

  @Test("says what config.json says")
  func agreesWithConfigJSON() throws {
    let tiny = tinyCheckpoint {
      $0.kvHeadCount = 2
      $0.headSize = 16
      $0.unusedRowCount = 5
    }
    let expected = try TinyModel(tiny).configuration
    let found = try configuration(tiny.gguf)
    #expect(found.modelType == expected.modelType && found.architecture == expected.architecture)
    #expect(found.vocabularySize == expected.vocabularySize && found.hiddenSize == expected.hiddenSize)
    #expect(found.intermediateSize == expected.intermediateSize && found.layerCount == expected.layerCount)
    #expect(found.headCount == expected.headCount && found.kvHeadCount == expected.kvHeadCount)
    #expect(found.headSize == expected.headSize && found.maximumPositions == expected.maximumPositions)
    #expect(found.rmsNormEpsilon == expected.rmsNormEpsilon && found.ropeTheta == expected.ropeTheta)
    #expect(found.ropeScaling == expected.ropeScaling && found.tieWordEmbeddings == expected.tieWordEmbeddings)
    #expect(found.padToken == expected.padToken && found.bosToken == expected.bosToken)
    #expect(found.eosTokens == expected.eosTokens)
  }

  @Test("takes what a file may leave out from the rest of it")
  func fillsIn() throws {
    var file = tinyCheckpoint { $0.tiesWordEmbeddings = true }.gguf
    for key in ["vocab_size", "attention.head_count_kv", "attention.key_length", "rope.dimension_count"] {
      file["xverse." + key] = nil
    }
    file["xverse.rope.freq_base"] = nil
    for key in ["bos", "eos", "padding"] { file["tokenizer.ggml.\(key)_token_id"] = nil }
    let found = try configuration(file)
    #expect(found.vocabularySize == TinyCheckpoint.vocabulary.pieces.count)
    #expect(found.kvHeadCount == 4 && found.headSize == 8 && found.ropeTheta == 10_000 && found.tieWordEmbeddings)
    #expect(found.bosToken == nil && found.padToken == nil && found.eosTokens.isEmpty)
  }

  @Test("reads linear scaling, old and new, and the end of a turn")
  func readsScaling() throws {
    var file = tinyCheckpoint().gguf
    file["tokenizer.ggml.eot_token_id"] = .uint32(4)
    file["xverse.rope.scale_linear"] = .float32(2)
    #expect(try configuration(file).ropeScaling == .linear(factor: 2))
    #expect(try configuration(file).eosTokens == [3, 4])
    file["xverse.rope.scaling.type"] = .string("linear")
    file["xverse.rope.scaling.factor"] = .float32(4)
    #expect(try configuration(file).ropeScaling == .linear(factor: 4))
    file["xverse.rope.scaling.type"] = .string("none")
    #expect(try configuration(file).ropeScaling == .none)
  }

  @Test(
    "rejects what cannot be, naming the key",
    arguments: [
      WrongKey(
        "general.architecture", nil, .corrupt, "'general.architecture' is missing, expected 'xverse' or 'llama'"),
      WrongKey("general.architecture", .string("qwen2"), .unsupported, "is 'qwen2', expected 'xverse' or 'llama'"),
      WrongKey("general.architecture", .uint32(1), .corrupt, "is 1, expected a string"),
      WrongKey("xverse.embedding_length", nil, .corrupt, "'xverse.embedding_length' is missing"),
      WrongKey("xverse.embedding_length", .uint32(0), .corrupt, "is 0, expected an integer from 1 to"),
      WrongKey("xverse.embedding_length", .int32(-32), .corrupt, "is -32, expected"),
      WrongKey("xverse.embedding_length", .uint64(1 << 63), .limit, "is 9223372036854775808, expected at most"),
      WrongKey("xverse.embedding_length", .string("32"), .corrupt, "is '32', expected an integer"),
      WrongKey("xverse.embedding_length", .float32(32), .corrupt, "is 32.0, expected an integer"),
      WrongKey("xverse.block_count", .uint32(1_000_000), .limit, "is 1000000, expected at most 1000"),
      WrongKey("xverse.attention.head_count", nil, .corrupt, "'xverse.attention.head_count' is missing"),
      WrongKey("xverse.attention.head_count", .uint32(5), .corrupt, "is 5, expected a divisor of embedding_length 32"),
      WrongKey(
        "xverse.attention.head_count_kv", .uint32(3), .corrupt, "is 3, expected a divisor of attention.head_count 4"),
      WrongKey(
        "xverse.attention.head_count_kv", .array(of: 4, [.uint32(4), .uint32(2)]), .unsupported,
        "is an array of 2 values of type uint32, expected the same number in all layers"),
      WrongKey("xverse.attention.key_length", .uint32(7), .corrupt, "is 7, expected heads of an even size"),
      WrongKey("xverse.attention.value_length", .uint32(16), .unsupported, "is 16, expected the size of a head, 8"),
      WrongKey("xverse.rope.dimension_count", .uint32(4), .unsupported, "is 4, expected the size of a head, 8"),
      WrongKey("xverse.attention.layer_norm_rms_epsilon", nil, .corrupt, "is missing, expected a number above 0"),
      WrongKey("xverse.attention.layer_norm_rms_epsilon", .float32(.nan), .corrupt, "is nan, expected"),
      WrongKey("xverse.rope.freq_base", .float32(-1), .corrupt, "is -1.0, expected a number above 0"),
      WrongKey("xverse.rope.scaling.type", .string("yarn"), .unsupported, "is 'yarn', expected 'none' or 'linear'"),
      WrongKey("xverse.expert_count", .uint32(8), .unsupported, "mixtures of experts are not supported"),
      WrongKey("xverse.vocab_size", .uint32(1 << 25), .limit, "is 33554432, expected at most"),
      WrongKey("tokenizer.ggml.bos_token_id", .string("2"), .corrupt, "is '2', expected a token below"),
    ])
  func rejects(wrong: WrongKey) throws {
    var file = tinyCheckpoint().gguf
    file[wrong.key] = wrong.value
    let error = #expect(throws: XverseError.self) { try configuration(file) }
    #expect(error?.code == wrong.code)
    #expect(error?.message.hasPrefix("m.gguf: '\(wrong.key)'") == true)
    #expect(error?.message.contains(wrong.words) == true, "\(error?.message ?? "")")
  }

  @Test("takes tokens beyond the vocabulary, with a warning")
  func takesTokensBeyondVocabulary() throws {
    var file = tinyCheckpoint().gguf
    file["tokenizer.ggml.eos_token_id"] = .uint32(99_999)
    file["tokenizer.ggml.padding_token_id"] = .uint32(UInt32.max)

    let configuration = try configuration(file)

    #expect(configuration.eosTokens.first == 99_999 && configuration.padToken == nil)
    #expect(configuration.warnings.map { $0.hasPrefix("m.gguf: 'tokenizer.ggml.eos_token_id' is 99999") } == [true])
  }

  @Test(
    "rejects tensors that change what the others compute",
    arguments: ["rope_freqs.weight", "blk.0.attn_q.bias", "blk.1.attn_k_norm.weight", "blk.0.ffn_gate_inp.weight"])
  func rejectsTensors(name: String) throws {
    var file = tinyCheckpoint().gguf
    file.tensors.append(GGUFFile.Tensor(name, [4], values: [1, 1, 1, 1]))
    let error = #expect(throws: XverseError.self) { try configuration(file) }
    #expect(error?.code == .unsupported)
    #expect(error?.message == "m.gguf: tensor '\(name)' is not supported, expected a model without it")
  }
}
