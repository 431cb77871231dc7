// ExhaustedMemoryTests.swift -- memory that ends in the calls around a generation: loading in every way, the tokenizer,
// conversations, caches of every type, samplers, conversion.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Memory that ends everywhere")
  struct ExhaustedMemoryTests {
    private let host = RecordingHost()

    private func runtime() throws -> Handle { try makeRuntime(#"{"threads": 1}"#, host) }

    /// Requires that an answer is NOMEM and that the host has only the blocks that it had.
    private func expectRefused(_ status: xverse_status, holding held: Int) throws {
      expect(status, is: XVERSE_E_NOMEM, saying: "memory")
      #expect(host.blocks == held)
      throw OutOfMemory()
    }

    private func expectNothingLeft() {
      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }

    // MARK: loading

    @Test(
      "loading in every way fails at each request, and from each request on",
      arguments: [
        #"{"quantize": "int8", "load": "read"}"#, #"{"quantize": "int4", "verify": "values"}"#, #"{"vocab_only": 1}"#,
      ], [false, true])
    func loading(json: String, forGood: Bool) throws {
      let directory = try ModelDirectory(sharded: true)
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, json)
      try expectLoadFails(directory, options, forGood: forGood)
    }

    @Test("loading with a calibration fails at each request", arguments: ["int8", "int4"])
    func calibrating(type: String) throws {
      let directory = try ModelDirectory()
      try directory.write("text.txt", String(repeating: "the world and ", count: 10))
      let json = "{\"quantize\": \"\(type)\", \"calibration\": \"\(directory.file("text.txt"))\"}"
      try expectLoadFails(directory, makeOptions(XVERSE_OPTIONS_MODEL, json), forGood: false)
    }

    private func expectLoadFails(_ directory: ModelDirectory, _ options: Handle, forGood: Bool) throws {
      let failures = try failingEach(host, forGood: forGood) {
        // Of its own: a runtime keeps its work memory.
        host.recover()
        let runtime = try runtime()
        try failing(host) {
          var model = OpaquePointer(bitPattern: 16)
          let status = xverse_model_load(runtime.pointer, directory.path, options.pointer, nil, nil, nil, &model)
          guard status != 0 else { return xverse_model_release(model) }
          #expect(model == nil)
          host.recover()
          expect(status, is: XVERSE_E_NOMEM, saying: "memory")
          _ = try makeHandle(xverse_model_release) {
            xverse_model_load(runtime.pointer, directory.path, options.pointer, nil, nil, nil, $0)
          }
          throw OutOfMemory()
        }
      }
      #expect(failures > 5)
      expectNothingLeft()
    }

    @Test("every memory_limit up to the need of a load and a token is kept", arguments: ["{}", #"{"load": "read"}"#])
    func limits(json: String) throws {
      let directory = try ModelDirectory()
      let free = try makeRuntime(#"{"threads": 1}"#)
      _ = try Session(openModel(directory.path, json, on: free)).evaluate([7])
      let need = try memory(of: free).peak
      var refusals = 0
      for limit in stride(from: 1, to: need + need / 20, by: Int(need / 20)) {
        let runtime = try makeRuntime("{\"threads\": 1, \"memory_limit\": \(limit)}")
        do {
          try check(Session(openModel(directory.path, json, on: runtime)).evaluate([7]))
          #expect(limit >= need)
        } catch let error as CallFailed {
          #expect(error.status == XVERSE_E_NOMEM && error.message.contains("memory_limit \(limit)"), "\(error.message)")
          refusals += 1
        }
        #expect(try memory(of: runtime).peak <= limit)
      }
      #expect(refusals >= 20)
    }

    // MARK: tokenizer

    @Test("encoding and decoding fail at each request and deliver nothing", arguments: [1, 2000])
    func tokenizing(words: Int) throws {
      let model = try openTinyModel(on: runtime())
      let tokenizer = xverse_model_tokenizer(model.pointer)
      let text = String(repeating: "the <pad> 1世\u{1F600} ", count: words)
      let ids = try encode(model, text, flags: XVERSE_ENCODE_SPECIAL)
      let held = host.blocks
      let encodings = try failingEach(host) {
        var tokens = [Int32](repeating: -1, count: ids.count)
        var count = 0
        let status = xverse_tokenizer_encode(
          tokenizer, text, text.utf8.count, Int32(XVERSE_ENCODE_SPECIAL), &tokens, tokens.count, &count)
        guard status != 0 else { return #expect(tokens == ids) }
        #expect(tokens.allSatisfy { $0 == -1 })
        try expectRefused(status, holding: held)
      }
      let decodings = try failingEach(host) {
        var decoded = UnsafeMutablePointer<CChar>(bitPattern: 16)
        let status = xverse_tokenizer_decode(tokenizer, ids, ids.count, 0, &decoded, nil)
        guard status != 0 else {
          #expect(decoded.map { String(cString: $0) } == text)
          return xverse_free(decoded)
        }
        #expect(decoded == nil)
        try expectRefused(status, holding: held)
      }
      #expect(encodings > 3 && decodings > 1)
      #expect(host.faults == [])
    }

    @Test(
      "a token that could not be streamed can be pushed again",
      arguments: [
        "the world 世界\u{1F600} a",
        // Its first token is a byte, of which nothing is given out but a NUL.
        "\u{1F600}a",
      ])
    func streaming(text: String) throws {
      let model = try openTinyModel(on: runtime())
      let ids = try encode(model, text)
      let failures = try failingEach(host) {
        host.recover()
        let detokenizer = try makeHandle(xverse_detokenizer_free) {
          xverse_detokenizer_create(xverse_model_tokenizer(model.pointer), 0, $0)
        }
        try failing(host) {
          var streamed = ""
          var refused = false
          for token in ids {
            var piece = UnsafePointer<CChar>(bitPattern: 16)
            var status = xverse_detokenizer_push(detokenizer.pointer, token, &piece, nil)
            if status != 0 {
              expect(status, is: XVERSE_E_NOMEM, saying: "memory")
              #expect(piece == nil)
              refused = true
              status = xverse_detokenizer_push(detokenizer.pointer, token, &piece, nil)
            }
            try check(status)
            streamed += piece.map { String(cString: $0) } ?? ""
          }
          #expect(streamed == text)
          if refused { throw OutOfMemory() }
        }
      }
      #expect(failures > 0)
      #expect(host.faults == [])
    }

    // MARK: generating

    @Test(
      "a conversation fails at each request, and goes on with the same tokens",
      arguments: [
        #"{"kv_type": "f32"}"#, #"{"kv_type": "f16"}"#, #"{"kv_type": "int8"}"#,
        #"{"context": 64, "overflow": "shift"}"#,
      ], ["none", "int8", "int4"])
    func conversation(session json: String, quantize: String) throws {
      let directory = try ModelDirectory()
      let sampling =
        #"{"max_new_tokens": 8, "ignore_eos": 1, "temperature": 1, "seed": 3, "typical_p": 0.9, "min_p": 0.01}"#
      let failures = try failingEach(host) {
        host.recover()
        // With a cache, what the first session left would be given up before anything fails.
        let model = try openModel(
          directory.path, "{\"quantize\": \"\(quantize)\", \"prefix_cache\": 0}", on: runtime())
        let reference = try generate(model, json, sampling)
        let (session, request) = (try Session(model, json), try Request(model))
        try failing(host) {
          var status = request.add("user", "the world and the world")
          if status != 0 {
            expect(status, is: XVERSE_E_NOMEM, saying: "memory")
            status = request.add("user", "the world and the world")
            try check(status)
            throw OutOfMemory()
          }
          try request.set(sampling)
          let answer = session.generate(request)
          guard answer.status != XVERSE_OK else { return #expect(answer.tokens == reference) }
          #expect(answer.status == XVERSE_E_NOMEM && !answer.hasResult && answer.message.contains("memory"))
          host.recover()
          #expect(try session.tokens.count == Int(session.length))
          #expect(session.generate(request).tokens == reference)
          throw OutOfMemory()
        }
      }
      #expect(failures > 5)
      expectNothingLeft()
    }

    private func generate(_ model: Handle, _ json: String, _ sampling: String) throws -> [Int32] {
      let request = try Request(model)
      try check(request.add("user", "the world and the world"))
      try request.set(sampling)
      return try Session(model, json).generate(request).tokens
    }

    @Test("a sampler that cannot draw, count or be copied stays as it was")
    func sampler() throws {
      let model = try openTinyModel(on: runtime())
      let size = Int(xverse_tokenizer_vocab_size(xverse_model_tokenizer(model.pointer)))
      var random = SeededRandom(seed: 4)
      let logits = random.floats(size)
      let json =
        #"{"temperature": 1, "seed": 5, "top_k": 50, "typical_p": 0.9, "repetition_penalty": 1.2, "presence_penalty": 1}"#
      let expected = try draws(makeSampler(model, json), logits)
      let failures = try failingEach(host) {
        host.recover()
        let sampler = try makeSampler(model, json)
        try failing(host) {
          var copy: OpaquePointer?
          let status = xverse_sampler_clone(sampler.pointer, &copy)
          let clone = Handle(copy, xverse_sampler_free)
          do {
            try check(status)
            #expect(try draws(clone, logits) == expected)
          } catch let error as CallFailed where error.status == XVERSE_E_NOMEM {
            #expect(error.message.contains("memory"))
            host.recover()
            #expect(try draws(sampler, logits) == expected)
            throw OutOfMemory()
          }
        }
      }
      #expect(failures > 0)
      #expect(host.faults == [])
    }

    private func draws(_ sampler: Handle, _ logits: [Float]) throws -> [Int32] {
      try (0..<10).map { _ in
        var token: Int32 = -1
        try check(xverse_sampler_sample(sampler.pointer, logits, logits.count, &token, nil))
        try check(xverse_sampler_accept(sampler.pointer, token))
        return token
      }
    }

    // MARK: conversion

    @Test("a copy of a model fails at each request and leaves no file", arguments: [false, true])
    func converting(forGood: Bool) throws {
      let (source, place) = (try ModelDirectory(sharded: true), try TemporaryDirectory())
      let failures = try failingEach(host, forGood: forGood) {
        host.recover()
        let runtime = try runtime()
        try failing(host) {
          let status = xverse_convert(runtime.pointer, source.path, place.path + "/out", nil, nil, nil, nil)
          host.recover()
          let written = try FileManager.default.contentsOfDirectory(atPath: place.path)
          guard status != 0 else {
            #expect(written == ["out"])
            return try FileManager.default.removeItem(atPath: place.path + "/out")
          }
          #expect(written == [])
          expect(status, is: XVERSE_E_NOMEM, saying: "memory")
          throw OutOfMemory()
        }
      }
      #expect(failures > 5)
      expectNothingLeft()
    }
  }
}
