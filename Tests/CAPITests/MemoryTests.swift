// MemoryTests.swift -- a host whose memory ends at every possible moment: each call says so, loses nothing, and works
// again when there is memory.

import CXverse
import TestSupport
import Testing

extension ABI {
  @Suite("Memory that ends")
  struct MemoryTests {
    @Test(
      "loading fails with NOMEM at each request and gives everything back",
      arguments: [
        "{}", #"{"load": "read", "verify": "values"}"#, #"{"quantize": "int4"}"#,
      ])
    func load(json: String) throws {
      let host = RecordingHost()
      let directory = try ModelDirectory()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, json)
      let failures = try failingEach(host) {
        var model = OpaquePointer(bitPattern: 16)
        let status = xverse_model_load(runtime.pointer, directory.path, options.pointer, nil, nil, nil, &model)
        if status == 0 { return xverse_model_release(model) }
        expect(status, is: XVERSE_E_NOMEM, saying: "memory")
        #expect(model == nil)
        #expect(host.blocks == 0)
        throw OutOfMemory()
      }
      #expect(failures > 5)
      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }

    @Test("making sessions, samplers and requests fails with NOMEM and gives everything back")
    func creation() throws {
      let host = RecordingHost()
      let model = try openTinyModel(on: makeRuntime(#"{"threads": 1}"#, host))
      let sampling = try makeOptions(XVERSE_OPTIONS_SAMPLING, #"{"temperature": 1, "repetition_penalty": 1.1}"#)
      let held = host.blocks
      let calls: [(Handle.Free, (UnsafeMutablePointer<OpaquePointer?>) -> xverse_status)] = [
        (xverse_session_free, { xverse_session_create(model.pointer, nil, $0) }),
        (xverse_sampler_free, { xverse_sampler_create(model.pointer, sampling.pointer, $0) }),
      ]
      for (free, create) in calls {
        let failures = try failingEach(host) {
          var out = OpaquePointer(bitPattern: 16)
          let status = create(&out)
          if status == 0 { return free(out) }
          expect(status, is: XVERSE_E_NOMEM, saying: "memory")
          #expect(out == nil)
          #expect(host.blocks == held)
          throw OutOfMemory()
        }
        #expect(failures > 0)
      }
      #expect(host.blocks == held)
      #expect(host.faults == [])
    }

    @Test(
      "an evaluation without memory leaves the session as it was, and goes on when there is some",
      arguments: [
        (0, 1), (0, 200), (60, 20), (30, 600),
      ])
    func evaluation(before: Int, added: Int) throws {
      let host = RecordingHost()
      let model = try openLongModel(on: makeRuntime(#"{"threads": 1}"#, host))
      let (old, new) = (someTokens(before), someTokens(added, seed: 2))
      let expected = try evaluated(model, [old, new])
      let failures = try failingEach(host) {
        // A runtime of its own, whose work memory has not grown yet.
        host.recover()
        let session = try Session(openLongModel(on: makeRuntime(#"{"threads": 1}"#, host)))
        try check(session.evaluate(old))
        let logits = before > 0 ? try session.logits : []
        try failing(host) {
          let status = session.evaluate(new)
          guard status != 0 else {
            #expect(try session.logits == expected)
            return
          }
          expect(status, is: XVERSE_E_NOMEM, saying: "memory")
          host.recover()
          #expect(try session.tokens == old)
          if before > 0 { #expect(try session.logits == logits) }
          try check(session.evaluate(new))
          #expect(try session.logits == expected)
          throw OutOfMemory()
        }
      }
      #expect(failures > 0)
      #expect(host.faults == [])
    }

    @Test("scoring without memory leaves the session as it was, also after truncate", arguments: [false, true])
    func scoring(truncates: Bool) throws {
      let host = RecordingHost()
      let (old, new) = (someTokens(20), someTokens(70, seed: 2))
      let reference = try Session(openTinyModel())
      try check(reference.evaluate(old))
      if truncates { try check(reference.truncate(10)) }
      let expected = try reference.score(new)
      let failures = try failingEach(host) {
        host.recover()
        let session = try Session(openTinyModel(on: makeRuntime(#"{"threads": 1}"#, host)))
        try check(session.evaluate(old))
        if truncates { try check(session.truncate(10)) }
        let before = try session.tokens
        try failing(host) {
          var logprobs = [Float](repeating: 0, count: new.count)
          var sum = 0.0
          let status = xverse_session_score(session.pointer, new, new.count, nil, &logprobs, &sum)
          guard status != 0 else { return }
          expect(status, is: XVERSE_E_NOMEM, saying: "memory")
          host.recover()
          #expect(try session.tokens == before)
          let again = try session.score(new)
          #expect(again.logprobs == expected.logprobs && again.sum == expected.sum)
          throw OutOfMemory()
        }
      }
      #expect(failures > 0)
      #expect(host.faults == [])
    }

    @Test(
      "generating without memory is NOMEM with a session that can go on",
      arguments: [
        // 16 characters fill the buffer of the text up to its NUL.
        "\"max_new_tokens\": 16, \"logit_bias\": \(onlyLetters)",
        "\"max_new_tokens\": 17, \"logit_bias\": \(onlyLetters)",
        #""max_new_tokens": 12, "repetition_penalty": 1.1, "logprobs": 1, "stop": ["never"]"#,
      ])
    func generation(options: String) throws {
      let json = "{\"ignore_eos\": 1, \"temperature\": 1, \"seed\": 1, \(options)}"
      let host = RecordingHost()
      let prompt = someTokens(60)
      let reference = try openTinyModel()
      let full = try Session(reference).generate(Request(reference, tokens: prompt, json)).tokens
      let failures = try failingEach(host) {
        host.recover()
        let model = try openTinyModel(on: makeRuntime(#"{"threads": 1}"#, host))
        let session = try Session(model)
        let request = try Request(model, tokens: prompt, json)
        try failing(host) {
          let answer = session.generate(request)
          guard answer.status != XVERSE_OK else {
            #expect(answer.tokens == full && answer.streamedTokens == full)
            #expect(answer.streamedText == answer.text)
            return
          }
          #expect(answer.status == XVERSE_E_NOMEM && !answer.hasResult && answer.message.contains("memory"))
          if let last = answer.events.last {
            #expect(last.kind == XVERSE_EVENT_FINISHED && last.status == XVERSE_E_NOMEM)
            #expect(answer.events.filter { $0.kind == XVERSE_EVENT_FINISHED }.count == 1)
          }
          host.recover()
          let held = try session.tokens
          #expect(held == Array((prompt + full).prefix(held.count)) && Int(session.length) == held.count)
          #expect(session.generate(request).tokens == full)
          throw OutOfMemory()
        }
      }
      #expect(failures > 5)
      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }

    @Test("a shifting session without memory can go on")
    func shifting() throws {
      let host = RecordingHost()
      let failures = try failingEach(host) {
        host.recover()
        let model = try openTinyModel(on: makeRuntime(#"{"threads": 1}"#, host))
        let session = try Session(model, #"{"context": 64, "overflow": "shift"}"#)
        for token in someTokens(64) { try check(session.evaluate([token])) }
        try failing(host) {
          let status = session.evaluate([7])
          guard status != 0 else { return }
          expect(status, is: XVERSE_E_NOMEM, saying: "memory")
          host.recover()
          #expect(try session.tokens.count == Int(session.length))
          try check(session.evaluate([8]))
          let fresh = try Session(model)
          try check(fresh.evaluate(session.tokens))
          #expect(zip(try fresh.logits, try session.logits).allSatisfy { abs($0 - $1) <= 1e-4 * max(1, abs($1)) })
          throw OutOfMemory()
        }
      }
      #expect(failures > 0)
      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }

    @Test("requests that cannot grow keep what they had")
    func requests() throws {
      let host = RecordingHost()
      let model = try openTinyModel(on: makeRuntime(#"{"threads": 1}"#, host))
      let failures = try failingEach(host) {
        host.recover()
        let request = try Request(model, tokens: someTokens(10))
        try failing(host) {
          let text = String(repeating: "the world ", count: 50)
          let status = xverse_request_add_text(request.pointer, text, text.utf8.count)
          guard status != 0 else { return }
          expect(status, is: XVERSE_E_NOMEM, saying: "memory")
          host.recover()
          #expect(try request.tokens == someTokens(10))
          throw OutOfMemory()
        }
      }
      #expect(failures > 0)
      #expect(host.faults == [])
    }

    @Test("perplexity without memory is NOMEM and leaves nothing")
    func perplexity() throws {
      let host = RecordingHost()
      let model = try openTinyModel(on: makeRuntime(#"{"threads": 1}"#, host))
      let failures = try failingEach(host) {
        var value = -1.0
        let status = xverse_model_perplexity(model.pointer, "the world and", 13, nil, nil, nil, nil, &value, nil)
        guard status != 0 else { return }
        expect(status, is: XVERSE_E_NOMEM, saying: "memory")
        #expect(value == -1)
        throw OutOfMemory()
      }
      #expect(failures > 0)
      #expect(host.faults == [])
    }

    @Test("memory_limit is kept: NOMEM with the limit, and what fits still works")
    func memoryLimit() throws {
      let limit = 400_000
      let runtime = try makeRuntime("{\"threads\": 1, \"memory_limit\": \(limit)}")
      // The keys and values of its 1024 positions would take 512 KiB.
      let session = try Session(openLongModel(on: runtime))
      var status = session.evaluate(someTokens(8))
      try check(status)
      while status == 0 { status = session.evaluate(someTokens(8)) }
      expect(status, is: XVERSE_E_NOMEM, saying: "memory_limit", "\(limit)")
      #expect(try memory(of: runtime).peak <= limit)
      #expect(session.length >= 8)
      let logits = try session.logits
      let length = session.length
      expect(session.evaluate(someTokens(8)), is: XVERSE_E_NOMEM)
      #expect(session.length == length)
      #expect(try session.logits == logits)
      try check(session.truncate(length - 1))
      try check(session.evaluate([try #require(session.tokens.last)]))

      var out: OpaquePointer?
      let directory = try ModelDirectory()
      let small = try makeRuntime(#"{"memory_limit": 1000}"#)
      expect(
        xverse_model_load(small.pointer, directory.path, nil, nil, nil, nil, &out), is: XVERSE_E_NOMEM,
        saying: "memory_limit", "1000")
      #expect(try memory(of: small).current == 0)
    }

    @Test("decoding a token asks for no memory within a block of the cache")
    func decodingAllocatesNothing() throws {
      let host = RecordingHost()
      let session = try Session(openTinyModel(on: makeRuntime(#"{"threads": 1}"#, host)))
      try check(session.evaluate(someTokens(10)))
      for token in someTokens(3) { try check(session.evaluate([token])) }
      let requests = host.requests
      for token in someTokens(40) { try check(session.evaluate([token])) }
      #expect(host.requests == requests)
    }

    /// Makes tokens of one character each all but certain.
    private static let onlyLetters: String = {
      let biases = (38...63).map { "\"\($0)\": 100" }
      return "{" + biases.joined(separator: ", ") + "}"
    }()

    // MARK: models

    private func openLongModel(on runtime: Handle) throws -> Handle {
      var checkpoint = TinyCheckpoint()
      checkpoint.maximumPositions = 1024
      let directory = try ModelDirectory(checkpoint)
      return try openModel(directory.path, on: runtime)
    }

    private func evaluated(_ model: Handle, _ parts: [[Int32]]) throws -> [Float] {
      let session = try Session(model)
      for part in parts { try check(session.evaluate(part)) }
      return try session.logits
    }
  }
}
