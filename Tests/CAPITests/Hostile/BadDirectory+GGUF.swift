// BadDirectory+GGUF.swift -- a directory with nothing but a GGUF file, of which one thing is wrong. What a header can have
// wrong is tested more closely by HostileGGUFTests.

import CXverse
import TestSupport

extension BadDirectory {
  static let gguf: [BadDirectory] = ggufHeaders + ggufModels + ggufTokenizers

  private static let ggufHeaders: [BadDirectory] = [
    gguf("bad magic", XVERSE_E_CORRUPT, "does not begin with 'GGUF'") { $0.magic = Array("GGUE".utf8) },
    gguf("version 0", XVERSE_E_CORRUPT, "the version is 0") { $0.version = 0 },
    gguf("version 1", XVERSE_E_UNSUPPORTED, "the version is 1") { $0.version = 1 },
    gguf("version 4", XVERSE_E_UNSUPPORTED, "the version is 4") { $0.version = 4 },
    gguf("byte-swapped", XVERSE_E_UNSUPPORTED, "big-endian") { $0.version = 3 << 24 },
    gguf("2^63 keys", XVERSE_E_CORRUPT, "the number of keys") { $0.pairCount = 1 << 63 },
    gguf("2^63 tensors", XVERSE_E_CORRUPT, "the number of tensors") { $0.tensorCount = 1 << 63 },
    gguf("alignment 0", XVERSE_E_CORRUPT, "'general.alignment' is 0") { $0["general.alignment"] = .uint32(0) },
    gguf("array of arrays", XVERSE_E_UNSUPPORTED, "'list' is an array of arrays") {
      $0["list"] = .array(of: 9, [.array(of: 4, [.uint32(1)])])
    },
    gguf("duplicate key", XVERSE_E_CORRUPT, "stands there twice") { $0.pairs.append($0.pairs[0]) },
    gguf("duplicate tensor", XVERSE_E_CORRUPT, "tensor 'token_embd.weight' stands there twice") {
      $0.tensors[1].name = $0.tensors[0].name
    },
    gguf("unknown type", XVERSE_E_UNSUPPORTED, "is of type iq1_s") { $0.tensors[0].type = 19 },
    gguf("truncated", XVERSE_E_CORRUPT, "truncated") { $0.tensors[$0.tensors.count - 1].data.removeAll() },
  ]

  private static let ggufModels: [BadDirectory] = [
    gguf("another architecture", XVERSE_E_UNSUPPORTED, "'general.architecture' is 'gemma'") {
      $0["general.architecture"] = .string("gemma")
    },
    gguf("hidden size 2^63", XVERSE_E_LIMIT, "'xverse.embedding_length'") {
      $0["xverse.embedding_length"] = .uint64(1 << 63)
    },
    gguf("layers as a text", XVERSE_E_CORRUPT, "'xverse.block_count' is '2'") {
      $0["xverse.block_count"] = .string("2")
    },
    gguf("experts", XVERSE_E_UNSUPPORTED, "mixtures of experts") { $0["xverse.expert_count"] = .uint32(8) },
    gguf("two files", XVERSE_E_INVALID, "expected the path of one of them", files: ["a.gguf", "b.gguf"]) { _ in },
  ]

  private static let ggufTokenizers: [BadDirectory] = [
    gguf("no tokenizer", XVERSE_E_CORRUPT, "'tokenizer.ggml.model' is missing") { $0["tokenizer.ggml.model"] = nil },
    gguf("unknown tokenizer", XVERSE_E_UNSUPPORTED, "tokenizer.json") { $0["tokenizer.ggml.model"] = .string("rwkv") },
    gguf("tokens as numbers", XVERSE_E_CORRUPT, "'tokenizer.ggml.tokens' is an array of 1 values of type uint32") {
      $0["tokenizer.ggml.tokens"] = .array(of: 4, [.uint32(1)])
    },
    gguf("a token of 2^31 bytes", XVERSE_E_CORRUPT, "the length of text 0 of 'tokenizer.ggml.tokens' is 2147483648") {
      $0["tokenizer.ggml.tokens"] = .array(of: 8, [.uint64(1 << 31)])
    },
    gguf("fewer scores than tokens", XVERSE_E_CORRUPT, "'tokenizer.ggml.scores'") {
      $0["tokenizer.ggml.scores"] = .array(of: 6, [.float32(0)])
    },
    gguf("byte token <0x-1>", XVERSE_E_CORRUPT, "tokenizer.ggml.tokens") { $0.replaceByteToken(with: "<0x-1>") },
    gguf("byte token <0xZZ>", XVERSE_E_CORRUPT, "tokenizer.ggml.tokens") { $0.replaceByteToken(with: "<0xZZ>") },
  ]

  private static func gguf(
    _ name: String, _ status: Int, _ words: String, files: [String] = ["m.gguf"],
    _ change: @escaping @Sendable (inout GGUFFile) -> Void
  ) -> BadDirectory {
    BadDirectory(name: "GGUF: \(name)", status: status, words: [words]) { directory in
      for file in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
        try directory.remove(file)
      }
      var gguf = TinyCheckpoint().gguf
      change(&gguf)
      for file in files { try directory.write(file, gguf.bytes) }
    }
  }
}

extension GGUFFile {
  /// Changes the text of a token that its type calls a byte.
  fileprivate mutating func replaceByteToken(with text: String) {
    let pieces = TinyCheckpoint.vocabulary.pieces.map { $0 == "<0x41>" ? text : $0 }
    self["tokenizer.ggml.tokens"] = .strings(pieces)
  }
}
