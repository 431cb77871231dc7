// CallbackTests.swift -- what may be done inside a callback, what a logits callback sees, and the sampler around it.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Callbacks")
  struct CallbackTests {
    let model: Handle

    init() throws { model = try openTinyModel() }

    @Test("inside a callback only getters, tokenizer calls and cancel_trigger work; the rest is MISUSE")
    func callsFromCallback() throws {
      let session = try Session(model)
      let other = try Session(model)
      let request = try Request(model, "abc", #"{"max_new_tokens": 2, "ignore_eos": 1}"#)
      let sampler = try makeSampler(model)
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      let model = self.model
      let answer = session.generate(request) { event in
        guard event.kind == XVERSE_EVENT_TOKENS else { return 0 }
        var out = OpaquePointer(bitPattern: 16)
        var value = 0.0
        let refused: [xverse_status] = [
          session.evaluate([7]), other.evaluate([7]), session.truncate(0),
          xverse_session_set_draft(other.pointer, nil, nil),
          xverse_session_create(model.pointer, nil, &out),
          xverse_session_score(other.pointer, [7], 1, nil, nil, &value),
          xverse_session_generate(session.pointer, request.pointer, nil, nil, nil, &out),
          xverse_session_generate(other.pointer, request.pointer, nil, nil, nil, &out),
          xverse_model_open("nowhere", nil, &out), xverse_runtime_create(nil, nil, &out),
          xverse_options_create(1, &out), xverse_options_set_int(options.pointer, "top_k", 1),
          xverse_request_create(model.pointer, &out), xverse_request_set_options(request.pointer, nil),
          request.add("user", "a"), xverse_cancel_create(&out),
          xverse_sampler_create(model.pointer, nil, &out), xverse_sampler_accept(sampler.pointer, 7),
          xverse_runtime_set_log(nil, nil, nil, 0), xverse_model_inspect("nowhere", nil, nil, nil),
          xverse_model_perplexity(model.pointer, "abc", 3, nil, nil, nil, nil, &value, nil),
          xverse_convert(nil, "nowhere", "/tmp/nowhere", nil, nil, nil, nil),
        ]
        #expect(refused.allSatisfy { Int($0) == XVERSE_E_MISUSE }, "\(refused)")
        #expect(lastMessage.contains("callback"))
        #expect(out == nil)

        #expect(throws: Never.self) {
          #expect(try encode(model, "the") != [])
          #expect(try decode(model, [7, 8]) != "")
          #expect(try info(of: model).n_layers == 2)
          #expect(try session.tokens.count == Int(session.length))
          #expect(session.length >= 3)
          #expect(try request.tokens.count == 3)
          _ = try session.logits
          _ = try session.stats
          _ = try session.topLogprobs(3)
          let detokenizer = try makeHandle(xverse_detokenizer_free) {
            xverse_detokenizer_create(xverse_model_tokenizer(model.pointer), 0, $0)
          }
          var text: UnsafePointer<CChar>?
          try check(xverse_detokenizer_push(detokenizer.pointer, 7, &text, nil))
          var current: Int64 = 0
          try check(xverse_runtime_memory(nil, &current, nil))
        }
        return 0
      }
      #expect(answer.status == XVERSE_OK)
      #expect(answer.tokens.count == 2)
      #expect(other.length == 0)
      #expect(try Session(model).generate(request).tokens == answer.tokens)
    }

    @Test("freeing session, request and model inside the callback does no harm")
    func freeInsideCallback() throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(nil, host)
      let model = try openTinyModel(on: runtime)
      let session = try Session(model)
      let request = try Request(model, "abc", #"{"max_new_tokens": 5, "ignore_eos": 1}"#)
      let expected = try Session(model).generate(request).tokens
      let answer = session.generate(request) { event in
        for handle in [session.handle, request.handle, model, runtime] { handle.end() }
        return 0
      }
      #expect(answer.status == XVERSE_OK)
      #expect(answer.tokens == expected)
      answer.result.end()
      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }

    @Test("a logits callback sees n_vocab logits, may change them, and may stop")
    func logitsCallback() throws {
      let session = try Session(model)
      let sampler = try makeSampler(model)
      try check(session.evaluate([7, 8]))
      let logits = try session.logits
      let size = try info(of: model).n_vocab
      let forceLast: xverse_logits_fn = { user, logits, count in
        guard let logits, let user else { return 1 }
        let calls = user.assumingMemoryBound(to: Int32.self)
        calls.pointee = count
        logits[Int(count) - 1] = .infinity
        return 0
      }
      var seen: Int32 = 0
      var token: Int32 = -1
      try withUnsafeMutablePointer(to: &seen) { seen in
        try check(xverse_sampler_set_callback(sampler.pointer, forceLast, seen))
        let clone = try makeHandle(xverse_sampler_free) { xverse_sampler_clone(sampler.pointer, $0) }
        for sampler in [sampler, clone] {
          token = -1
          try check(xverse_sampler_sample(sampler.pointer, logits, logits.count, &token, nil))
          #expect(token == size - 1)
        }
      }
      #expect(seen == size)
      try check(xverse_sampler_set_callback(sampler.pointer, { _, _, _ in 1 }, nil))
      token = -1
      expect(xverse_sampler_sample(sampler.pointer, logits, logits.count, &token, nil), is: XVERSE_STOPPED)
      #expect(token == -1)
      try check(xverse_sampler_set_callback(sampler.pointer, nil, nil))
      try check(xverse_sampler_sample(sampler.pointer, logits, logits.count, &token, nil))
      #expect(token >= 0)
    }

    @Test("a sampler says RANGE for a wrong n and FAIL when no token is possible")
    func samplerErrors() throws {
      let sampler = try makeSampler(model)
      let size = Int(try info(of: model).n_vocab)
      let logits = [Float](repeating: -.infinity, count: size)
      var token: Int32 = -1
      expect(
        xverse_sampler_sample(sampler.pointer, logits, size - 1, &token, nil), is: XVERSE_E_RANGE,
        saying: "\(size - 1)", "\(size)")
      expect(
        xverse_sampler_sample(sampler.pointer, logits, size, &token, nil), is: XVERSE_E_FAIL,
        saying: "no token possible")
      for id in [-1, Int32(size), .max, .min] {
        expect(xverse_sampler_accept(sampler.pointer, id), is: XVERSE_E_RANGE, saying: "\(id)")
      }
      #expect(token == -1)
    }
  }
}
