// OddFilesTests.swift -- directories that transformers opens and answers with: they open, the log tells what is odd, and a bad
// value fails when it is used.

import CXverse
import Foundation
import Glibc
import TestSupport
import Testing

/// What is odd about a directory.
struct OddDirectory: Sendable, CustomTestStringConvertible {
  let testDescription: String
  /// Words of a warning.
  let warning: String
  let spoil: @Sendable (ModelDirectory) throws -> Void

  init(_ name: String, _ warning: String, _ spoil: @escaping @Sendable (ModelDirectory) throws -> Void) {
    testDescription = name
    self.warning = warning
    self.spoil = spoil
  }

  /// A file with more text in its outer object, in place of what its first brace is.
  static func text(_ name: String, _ members: String, _ warning: String) -> Self {
    Self("\(name) with \(members)", warning) { directory in
      let text = String(decoding: try directory.bytes(of: name), as: UTF8.self)
      try directory.write(name, "{" + members + "," + text.drop { $0 != "{" }.dropFirst())
    }
  }

  /// Tensors under other names.
  static func renamed(_ name: String, _ newName: @escaping @Sendable (String) -> String) -> Self {
    Self(name, "tensors have other names than a model's") { directory in
      let bytes = try directory.bytes(of: "model.safetensors")
      let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      let object = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length])) as? [String: Any]
      let header = Dictionary(uniqueKeysWithValues: try #require(object).map { (newName($0.key), $0.value) })
      let text = [UInt8](try JSONSerialization.data(withJSONObject: header))
      let count = withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init)
      try directory.write("model.safetensors", count + text + bytes[(8 + length)...])
    }
  }

  static let all: [OddDirectory] = [
    text("config.json", #""attention_dropout":NaN"#, "NaN"), text("config.json", #""x":-Infinity"#, "-Infinity"),
    text("config.json", #""x":[Infinity]"#, "Infinity"),
    text("config.json", #""use_cache":1,"use_cache":2"#, "use_cache"),
    text("config.json", #""_name_or_path":"\ud83d""#, "surrogate"),
    text("config.json", #""vocab_size":7"#, "duplicate key 'vocab_size'"),
    text("generation_config.json", #""top_k":-1"#, "'top_k' is -1"),
    text("generation_config.json", #""top_k":"50""#, "'top_k'"),
    text("generation_config.json", #""do_sample":"true","do_sample":false"#, "duplicate key"),
    text("generation_config.json", #""top_p":1.5"#, "'top_p' is 1.5"),
    text("generation_config.json", #""temperature":NaN"#, "NaN"),
    text("generation_config.json", #""pad_token_id":2354"#, "'pad_token_id' is 2354"),
    text("generation_config.json", #""num_beams":4"#, "'num_beams' is 4"),
    text("generation_config.json", #""no_repeat_ngram_size":3"#, "'no_repeat_ngram_size' is 3"),
    text("generation_config.json", #""bad_words_ids":[[7]]"#, "'bad_words_ids'"),
    OddDirectory("end tokens beyond the vocabulary", "'eos_token_id' is 99999") {
      try $0.edit("generation_config.json", ["eos_token_id": [3, 99999]])
    },
    OddDirectory("special tokens of config.json beyond the vocabulary", "'pad_token_id' is 4000") {
      try $0.edit("config.json", ["pad_token_id": 4000, "bos_token_id": 5000])
    },
    OddDirectory("the class of the inner model", "'architectures'") {
      try $0.edit("config.json", ["architectures": ["XverseModel"]])
    },
    OddDirectory("a truncation", "'truncation'") {
      try $0.edit(
        "tokenizer.json", ["truncation": ["max_length": 2, "strategy": "LongestFirst", "stride": 0] as [String: Any]])
    },
    OddDirectory("a padding", "'padding'") {
      try $0.edit("tokenizer.json", ["padding": ["strategy": ["Fixed": 64], "pad_id": 1] as [String: Any]])
    },
    OddDirectory("an added token beyond the vocabulary", "'vocab_size'") { directory in
      let parsed = try JSONSerialization.jsonObject(with: Data(directory.bytes(of: "tokenizer.json")))
      var file = try #require(parsed as? [String: Any])
      var tokens = file["added_tokens"] as? [[String: Any]] ?? []
      tokens.append([
        "id": TinyCheckpoint().vocabularySize, "content": "[PAD]", "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true,
      ])
      file["added_tokens"] = tokens
      try directory.write("tokenizer.json", [UInt8](JSONSerialization.data(withJSONObject: file)))
    },
    OddDirectory("an index that lists what is not there", "stand in no shard") { directory in
      var map = try directory.shard(into: ["1.safetensors", "2.safetensors"])
      map["model.layers.0.self_attn.rotary_emb.inv_freq"] = "1.safetensors"
      let index = try JSONSerialization.data(withJSONObject: ["weight_map": map])
      try directory.write("model.safetensors.index.json", [UInt8](index))
    },
    OddDirectory("an index that confuses the shards", "stand in another shard") { directory in
      let map = try directory.shard(into: ["1.safetensors", "2.safetensors"])
      let other = map.mapValues { $0 == "1.safetensors" ? "2.safetensors" : "1.safetensors" }
      let index = try JSONSerialization.data(withJSONObject: ["weight_map": other])
      try directory.write("model.safetensors.index.json", [UInt8](index))
    },
    renamed("the inner model's names") { String($0.trimmingPrefix("model.")) },
    renamed("torch.compile") { "_orig_mod." + $0 },
    renamed("DataParallel") { "module." + $0 }, renamed("PEFT") { "base_model.model." + $0 },
  ]
}

extension ABI {
  @Suite("Odd files")
  struct OddFilesTests {
    @Test("open and answer as if they were not odd, and the log tells", arguments: OddDirectory.all)
    func opens(odd: OddDirectory) throws {
      let directory = try ModelDirectory()
      try odd.spoil(directory)
      let runtime = try makeRuntime()
      let log = LogLines()
      try check(xverse_runtime_set_log(runtime.pointer, LogLines.receive, log.user, Int32(XVERSE_LOG_WARN)))
      let options = #"{"do_sample": 0, "max_new_tokens": 6, "ignore_eos": 1}"#

      let model = try openModel(directory.path, on: runtime)
      let answer = try Session(model).generate(Request(model, "hello", options))

      let plain = try openTinyModel()
      #expect(answer.status == XVERSE_OK)
      #expect(answer.tokens == (try Session(plain).generate(Request(plain, "hello", options))).tokens)
      #expect(log.lines.contains { $0.text.contains(odd.warning) }, "\(log.lines)")
      try check(xverse_runtime_set_log(runtime.pointer, nil, nil, Int32(XVERSE_LOG_OFF)))
    }

    @Test("a value of generation_config.json that cannot be used fails the generation that needs it")
    func failsWhenUsed() throws {
      let directory = try ModelDirectory()
      try directory.write("generation_config.json", #"{"do_sample": true, "top_k": -1, "eos_token_id": 3}"#)
      let model = try openModel(directory.path)
      let session = try Session(model)
      var sampler: OpaquePointer?

      let answer = session.generate(try Request(model, "a"))
      expect(xverse_status(answer.status), is: XVERSE_E_CORRUPT, saying: "generation_config.json", "'top_k' is -1")
      expect(xverse_sampler_create(model.pointer, nil, &sampler), is: XVERSE_E_CORRUPT, saying: "'top_k' is -1")
      #expect(sampler == nil && session.length == 0)
      for options in [#"{"top_k": 0, "max_new_tokens": 2}"#, #"{"do_sample": 0, "max_new_tokens": 2}"#] {
        #expect(session.generate(try Request(model, "a", options)).status == XVERSE_OK)
      }
    }

    @Test("a token beyond the vocabulary is RANGE when it is evaluated")
    func tokenBeyondVocabulary() throws {
      let directory = try ModelDirectory()
      try OddDirectory.all.first { $0.testDescription.hasPrefix("an added token") }?.spoil(directory)
      let model = try openModel(directory.path)
      let tokens = try encode(model, "a[PAD]", flags: XVERSE_ENCODE_SPECIAL)
      #expect(tokens.last == Int32(TinyCheckpoint().vocabularySize))
      #expect(try decode(model, tokens, flags: XVERSE_DECODE_PLAIN) == "a[PAD]")
      expect(try Session(model).evaluate(tokens), is: XVERSE_E_RANGE, saying: "\(TinyCheckpoint().vocabularySize)")
      let options = try makeOptions(XVERSE_OPTIONS_CONVERT, #"{"format": "gguf"}"#)
      expect(
        xverse_convert(nil, directory.path, directory.file("out.gguf"), options.pointer, nil, nil, nil),
        is: XVERSE_E_UNSUPPORTED, saying: "rows of the embedding")
      withExtendedLifetime(options) {}
    }

    @Test(
      "without a top_k of anybody's the 50 most probable tokens are drawn from", arguments: ["{}", #"{"top_k": null}"#])
    func drawsFromFifty(file: String) throws {
      let directory = try ModelDirectory()
      try directory.write("generation_config.json", file)
      let model = try openModel(directory.path)
      let count = Int(try info(of: model).n_vocab)
      let logits = (0..<count).map { -Float($0) / 1000 }
      for (options, largest) in [
        (#"{"temperature": 1, "seed": 1}"#, 50), (#"{"do_sample": 1, "top_k": 0, "seed": 1}"#, count),
      ] {
        let sampler = try makeSampler(model, options)
        let drawn = try (0..<3000).map { _ in
          var token: Int32 = -1
          try check(xverse_sampler_sample(sampler.pointer, logits, count, &token, nil))
          return Int(token)
        }
        #expect(drawn.allSatisfy { (0..<largest).contains($0) } && drawn.contains { $0 >= largest - 10 })
      }
    }

    @Test("a conversation without an end token blames the file that has none")
    func blamesFile() throws {
      for (name, other) in [("generation_config.json", "config.json"), ("config.json", "generation_config.json")] {
        let directory = try ModelDirectory()
        try directory.edit(name, ["eos_token_id": -1])
        if name == "config.json" { try directory.remove(other) }
        let model = try openModel(directory.path)
        let request = try Request(model)
        try check(request.add("user", "a"))
        var count = 0
        expect(
          xverse_request_tokens(request.pointer, nil, 0, &count), is: XVERSE_E_UNSUPPORTED, saying: "'eos_token_id'")
        #expect(lastMessage.hasPrefix(name + " of "))
      }
    }

    @Test("a bias far below 0 is never, one far above it names its bound")
    func extremeBiases() throws {
      let model = try openTinyModel()
      let session = try Session(model)
      let greedy = session.generate(try Request(model, "a", #"{"max_new_tokens": 1}"#)).tokens
      let token = try #require(greedy.first)
      for bias in ["-1e30", "-1e38", "-1e300"] {
        let options = #"{"max_new_tokens": 1, "logit_bias": {"\#(token)": \#(bias)}}"#
        #expect(session.generate(try Request(model, "a", options)).tokens != greedy)
      }
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      let text = #"{"5": 1e30}"#
      expect(
        xverse_options_set_string(options.pointer, "logit_bias", text, text.utf8.count), is: XVERSE_E_RANGE,
        saying: "token 5", "1e30", "2^60")
    }

    @Test("an answer that stands last is continued")
    func continuesAnswer() throws {
      let model = try openTinyModel()
      let options = #"{"max_new_tokens": 8, "ignore_eos": 1}"#
      let chat = try Request(model, nil, options)
      try check(chat.add("user", "Hi"))
      try check(chat.add("assistant", "the man"))
      let tokens =
        try encode(model, "Human: ") + encode(model, "Hi\n\n") + encode(model, "Assistant: ") + encode(model, "the man")
      #expect(try chat.tokens == tokens)

      let answer = try Session(model).generate(chat)
      let raw = try Session(model).generate(Request(model, tokens: tokens, options))

      #expect(answer.status == XVERSE_OK && answer.tokens == raw.tokens && answer.text == raw.text)
    }

    // MARK: names and paths

    @Test("a GGUF file is known by its first bytes, as a model and as a tokenizer")
    func ggufOfAnyName() throws {
      let directory = try TemporaryDirectory()
      let path = try directory.write("sha256-0123abcd", TinyCheckpoint().gguf.bytes)
      let plain = try directory.write("tiny.gguf", TinyCheckpoint().gguf.bytes)
      let (model, expected) = (try openModel(path), try openModel(plain))
      #expect(try encode(model, "hello") == encode(expected, "hello"))
      var tokenizer: OpaquePointer?
      try check(xverse_tokenizer_open(path, &tokenizer))
      #expect(
        xverse_tokenizer_vocab_size(tokenizer) == xverse_tokenizer_vocab_size(xverse_model_tokenizer(model.pointer)))
      xverse_tokenizer_release(tokenizer)
      let other = try openModel(plain, #"{"tokenizer": "\#(path)"}"#)
      #expect(try encode(other, "hello") == encode(expected, "hello"))
    }

    @Test("a path in any encoding opens, converts and is a tokenizer")
    func pathsAreBytes() throws {
      let directory = try ModelDirectory()
      let place = Array(directory.path.utf8) + [0x2F, 0xC4, 0xA3, 0xD0, 0xCD]
      let path = (place + [0]).map { CChar(bitPattern: $0) }
      let output = (place + [0xFF, 0]).map { CChar(bitPattern: $0) }
      try #require(mkdir(path, 0o700) == 0)
      for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
        let target = (place + [0x2F] + Array(name.utf8) + [0]).map { CChar(bitPattern: $0) }
        try #require(rename(directory.file(name), target) == 0)
      }
      let options = try makeOptions(XVERSE_OPTIONS_MODEL)
      try check(xverse_options_set_string(options.pointer, "tokenizer", path, path.count - 1))
      var model: OpaquePointer?
      try check(xverse_model_open(path, options.pointer, &model))
      var info = xverse_model_info()
      info.size = UInt32(MemoryLayout<xverse_model_info>.size)
      try check(xverse_model_get_info(model, &info))
      #expect(String(cString: info.name).contains("\u{FFFD}"))
      xverse_model_release(model)
      var tokenizer: OpaquePointer?
      try check(xverse_tokenizer_open(path, &tokenizer))
      xverse_tokenizer_release(tokenizer)
      var json: UnsafeMutablePointer<CChar>?
      try check(xverse_model_inspect(path, nil, &json, nil))
      xverse_free(json)
      var estimate = xverse_memory_estimate()
      estimate.size = UInt32(MemoryLayout<xverse_memory_estimate>.size)
      try check(xverse_model_estimate(path, nil, nil, &estimate))
      try check(xverse_convert(nil, path, output, nil, nil, nil, nil))
      var converted: OpaquePointer?
      try check(xverse_model_open(output, nil, &converted))
      xverse_model_release(converted)
    }

    @Test(
      "what a failed download left in a file's place is named",
      arguments: ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"])
    func namesSubstitutes(name: String) throws {
      for (text, words) in [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        ("<!doctype html><html>", "HTML page"), ("Entry not found", "entry not found"),
      ] {
        let directory = try ModelDirectory()
        try directory.write(name, text)
        var model: OpaquePointer?
        expect(xverse_model_open(directory.path, nil, &model), is: XVERSE_E_CORRUPT, saying: name, words)
        #expect(model == nil)
        guard name == "tokenizer.json" else { continue }
        expect(xverse_tokenizer_open(directory.file(name), &model), is: XVERSE_E_CORRUPT, saying: name, words)
      }
    }
  }
}
