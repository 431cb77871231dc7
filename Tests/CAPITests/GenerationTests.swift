// GenerationTests.swift -- requests, events, ends and results of generation.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Generation")
  struct GenerationTests {
    let model: Handle

    init() throws { model = try openTinyModel() }

    @Test("the text of the events is that of the result, and that of its tokens", arguments: 0..<5)
    func eventsAgreeWithResult(seed: Int) throws {
      let request = try Request(
        model, "Hu", "{\"max_new_tokens\": 60, \"temperature\": 1.5, \"seed\": \(seed), \"ignore_eos\": 1}")
      let answer = try Session(model).generate(request)
      #expect(answer.status == XVERSE_OK)
      #expect(answer.streamedText == answer.text)
      #expect(answer.streamedTokens == answer.tokens)
      #expect(answer.text == (try streamed(answer.tokens)))
      #expect(answer.stats.n_generated == 60)
    }

    @Test("greedy generation is eval, the largest logit, and again")
    func greedyLoop() throws {
      let prompt = someTokens(9)
      let answer = try Session(model).generate(
        Request(model, tokens: prompt, #"{"max_new_tokens": 20, "ignore_eos": 1}"#))
      let session = try Session(model)
      try check(session.evaluate(prompt))
      var expected: [Int32] = []
      while expected.count < 20 {
        let logits = try session.logits
        let token = try #require(logits.indices.max { (logits[$0], $1) < (logits[$1], $0) })
        expected.append(Int32(token))
        try check(session.evaluate([Int32(token)]))
      }
      #expect(answer.tokens == expected)
    }

    @Test("a sampler of one's own draws what generation draws")
    func sampledLoop() throws {
      let json = #"{"temperature": 0.9, "top_p": 0.95, "top_k": 40, "repetition_penalty": 1.2, "seed": 11, "ignore_eos": 1, "max_new_tokens": 20}"#
      let prompt = someTokens(9)
      let answer = try Session(model).generate(Request(model, tokens: prompt, json))
      let session = try Session(model)
      let sampler = try makeSampler(model, json)
      try check(session.evaluate(prompt))
      for token in prompt { try check(xverse_sampler_accept(sampler.pointer, token)) }
      var drawn: [Int32] = []
      for _ in 0..<20 {
        let logits = try session.logits
        var token: Int32 = -1
        try check(xverse_sampler_sample(sampler.pointer, logits, logits.count, &token, nil))
        try check(xverse_sampler_accept(sampler.pointer, token))
        try check(session.evaluate([token]))
        drawn.append(token)
      }
      #expect(answer.tokens == drawn)
    }

    @Test("events come as PREFILL, TOKENS one by one, FINISHED once and last")
    func eventOrder() throws {
      let answer = try Session(model).generate(
        Request(model, tokens: someTokens(70), #"{"max_new_tokens": 6, "ignore_eos": 1}"#))
      let kinds = answer.events.map(\.kind)
      let prefills = kinds.prefix { $0 == XVERSE_EVENT_PREFILL }.count
      #expect(prefills > 0)
      #expect(Array(kinds.dropFirst(prefills)) == Array(repeating: XVERSE_EVENT_TOKENS, count: 6) + [XVERSE_EVENT_FINISHED])
      #expect(answer.events.prefix(prefills).allSatisfy { $0.tokens.isEmpty && $0.text.isEmpty })
      #expect(answer.events[prefills - 1].promptDone == 70)
      #expect(answer.events.allSatisfy { $0.promptTotal == 70 && $0.status == XVERSE_OK })
      #expect(answer.events.filter { $0.kind == XVERSE_EVENT_TOKENS }.allSatisfy { $0.tokens.count == 1 })
      #expect(answer.events.dropLast().allSatisfy { $0.finishReason == XVERSE_FINISH_NONE })
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_LENGTH)
    }

    @Test("generation works without a callback")
    func noCallback() throws {
      let request = try Request(model, "abc", #"{"max_new_tokens": 6, "ignore_eos": 1}"#)
      let expected = try Session(model).generate(request).tokens
      let session = try Session(model)
      var result: OpaquePointer?
      try check(xverse_session_generate(session.pointer, request.pointer, nil, nil, nil, &result))
      #expect(Answer(0, Handle(result, xverse_result_free), []).tokens == expected)
    }

    @Test("afterwards the session holds the prompt and the generated tokens except the last")
    func sessionAfterwards() throws {
      let session = try Session(model)
      let prompt = someTokens(9)
      let answer = session.generate(try Request(model, tokens: prompt, #"{"max_new_tokens": 6, "ignore_eos": 1}"#))
      #expect(try session.tokens == prompt + answer.tokens.dropLast())
      #expect(try session.stats.n_generated == 6)
    }

    // MARK: ends

    @Test("a stop string ends the text before it, also across tokens, and no part of it is ever told")
    func stopStrings() throws {
      let plain = try Session(model).generate(
        Request(model, "Hu", #"{"max_new_tokens": 40, "ignore_eos": 1, "temperature": 1.5, "seed": 3}"#))
      let characters = Array(plain.text)
      for length in [1, 2, 3, 5] {
        for start in stride(from: 0, to: characters.count - length, by: 3) {
          let stop = String(characters[start..<start + length])
          guard !stop.contains("\u{FFFD}") else { continue }
          let request = try Request(
            model, "Hu", #"{"max_new_tokens": 40, "ignore_eos": 1, "temperature": 1.5, "seed": 3}"#)
          try request.set(
            "{\"max_new_tokens\": 40, \"ignore_eos\": 1, \"temperature\": 1.5, \"seed\": 3, \"stop\": [\(quoted(stop)), \"never\"]}")
          let answer = try Session(model).generate(request)
          let end = try #require(plain.text.range(of: stop, options: .literal)).lowerBound
          #expect(answer.text == String(plain.text[..<end]))
          #expect(answer.streamedText == answer.text)
          #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_STOP)
          #expect(answer.events.last?.finishReason == XVERSE_FINISH_STOP)
          var told = ""
          for event in answer.events {
            told += event.text
            #expect(plain.text[..<end].hasPrefix(told))
          }
        }
      }
    }

    @Test("a stop string that never comes holds back only what could become it")
    func stopStringThatNeverComes() throws {
      let options = #""max_new_tokens": 40, "ignore_eos": 1, "temperature": 1.5, "seed": 4"#
      let plain = try Session(model).generate(Request(model, "Hu", "{\(options)}"))
      let stop = String(plain.text.suffix(3)) + "never"
      let answer = try Session(model).generate(Request(model, "Hu", "{\(options), \"stop\": [\(quoted(stop))]}"))
      #expect(answer.text == plain.text)
      #expect(answer.streamedText == plain.text)
      #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_LENGTH)
    }

    @Test("an end-of-sequence token ends generation; its text is not shown")
    func endOfSequence() throws {
      let eos = try Session(model).generate(
        Request(model, "abc", #"{"max_new_tokens": 9, "logit_bias": {"3": 1000}}"#))
      #expect(eos.tokens == [3])
      #expect(eos.text == "")
      #expect(Int(eos.stats.finish_reason) == XVERSE_FINISH_EOS)
      let ignored = try Session(model).generate(
        Request(model, "abc", #"{"max_new_tokens": 9, "logit_bias": {"3": 1000}, "ignore_eos": 1}"#))
      #expect(ignored.tokens == Array(repeating: 3, count: 9))
      #expect(ignored.text == "")
      #expect(Int(ignored.stats.finish_reason) == XVERSE_FINISH_LENGTH)
    }

    @Test("max_new_tokens 0 only evaluates the prompt")
    func prefillOnly() throws {
      let session = try Session(model)
      let prompt = someTokens(9)
      let answer = session.generate(try Request(model, tokens: prompt, #"{"max_new_tokens": 0}"#))
      #expect(answer.status == XVERSE_OK && answer.tokens == [] && answer.text == "")
      #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_LENGTH)
      #expect(answer.stats.n_prompt == 9 && answer.stats.n_generated == 0)
      let fresh = try Session(model)
      try check(fresh.evaluate(prompt))
      #expect(try session.tokens == prompt)
      #expect(try session.logits == fresh.logits)
    }

    @Test("a callback that asks to stop ends the call with STOPPED and a valid result", arguments: [0, 1, 2, 5])
    func stoppedByCallback(events: Int) throws {
      let session = try Session(model)
      let request = try Request(model, tokens: someTokens(9), #"{"max_new_tokens": 20, "ignore_eos": 1, "logprobs": 1}"#)
      let full = try Session(model).generate(request)
      let counter = Counter()
      let answer = session.generate(request) { event in
        event.kind != XVERSE_EVENT_FINISHED && counter.next() >= events ? 1 : 0
      }
      #expect(answer.status == XVERSE_STOPPED)
      #expect(answer.hasResult)
      #expect(answer.events.last?.kind == XVERSE_EVENT_FINISHED)
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_CALLBACK)
      #expect(answer.events.last?.status == XVERSE_STOPPED)
      #expect(answer.events.filter { $0.kind == XVERSE_EVENT_FINISHED }.count == 1)
      #expect(answer.tokens == Array(full.tokens.prefix(events)))
      #expect(answer.logprobs ?? [] == Array(full.logprobs?.prefix(events) ?? []))
      #expect(answer.streamedText == answer.text)
      #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_CALLBACK)
      #expect(session.generate(request).tokens == full.tokens)
    }

    @Test("cancelled before: nothing is evaluated")
    func cancelledBefore() throws {
      let session = try Session(model)
      let cancel = try makeCancel()
      xverse_cancel_trigger(cancel.pointer)
      let answer = session.generate(try Request(model, "abc"), cancel: cancel)
      #expect(answer.status == XVERSE_E_CANCELLED && !answer.hasResult && !answer.message.isEmpty)
      #expect(answer.events.last?.kind == XVERSE_EVENT_FINISHED)
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_CANCELLED)
      #expect(answer.events.last?.status == XVERSE_E_CANCELLED)
      #expect(session.length == 0)
    }

    @Test("cancelled meanwhile: no result, the session holds what was evaluated", arguments: [1, 2, 7])
    func cancelledMeanwhile(events: Int) throws {
      let session = try Session(model)
      let request = try Request(model, tokens: someTokens(9), #"{"max_new_tokens": 20, "ignore_eos": 1}"#)
      let full = try Session(model).generate(request)
      let cancel = try makeCancel()
      let counter = Counter()
      let answer = session.generate(request, cancel: cancel) { _ in
        if counter.next() == events { xverse_cancel_trigger(cancel.pointer) }
        return 0
      }
      #expect(answer.status == XVERSE_E_CANCELLED && !answer.hasResult)
      #expect(answer.events.filter { $0.kind == XVERSE_EVENT_FINISHED }.count == 1)
      #expect(try session.stats.finish_reason == Int32(XVERSE_FINISH_CANCELLED))
      let held = try session.tokens
      #expect(Int(session.length) == held.count)
      #expect(held == Array((someTokens(9) + full.tokens).prefix(held.count)))
      #expect(held.count >= 9)
      #expect(session.generate(request).tokens == full.tokens)
    }

    @Test("cancelled after: nothing happens")
    func cancelledAfter() throws {
      let session = try Session(model)
      let cancel = try makeCancel()
      let answer = session.generate(try Request(model, "abc", #"{"max_new_tokens": 3}"#), cancel: cancel)
      xverse_cancel_trigger(cancel.pointer)
      #expect(answer.status == XVERSE_OK)
      try check(session.evaluate([7]))
    }

    @Test("a deadline that has passed is E_DEADLINE, and the flag is cleared by reset")
    func deadlineOfCancel() throws {
      let session = try Session(model)
      let request = try Request(model, "abc", #"{"max_new_tokens": 3}"#)
      let cancel = try makeCancel()
      xverse_cancel_reset(cancel.pointer, 1)
      usleep(3000)
      let late = session.generate(request, cancel: cancel)
      #expect(late.status == XVERSE_E_DEADLINE && !late.hasResult)
      #expect(late.events.last?.finishReason == XVERSE_FINISH_DEADLINE)
      #expect(late.events.last?.status == XVERSE_E_DEADLINE)
      for milliseconds in [0, -1, Int64.min, .max, 3_600_000] {
        xverse_cancel_trigger(cancel.pointer)
        xverse_cancel_reset(cancel.pointer, milliseconds)
        #expect(session.generate(request, cancel: cancel).status == XVERSE_OK)
      }
    }

    @Test("the option deadline_ms ends generation with OK and FINISH_DEADLINE")
    func deadlineOption() throws {
      let session = try Session(model, #"{"overflow": "shift"}"#)
      let request = try Request(model, "abc", #"{"deadline_ms": 60, "ignore_eos": 1}"#)
      let answer = session.generate(request)
      #expect(answer.status == XVERSE_OK && answer.hasResult)
      #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_DEADLINE)
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_DEADLINE)
      #expect(answer.tokens.count > 1)
      #expect(answer.streamedText == answer.text)
      #expect(answer.streamedTokens == answer.tokens)
      let patient = session.generate(try Request(model, "abc", #"{"deadline_ms": 3600000, "max_new_tokens": 2, "ignore_eos": 1}"#))
      #expect(Int(patient.stats.finish_reason) == XVERSE_FINISH_LENGTH)
    }

    // MARK: callbacks

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

    // MARK: reproducing

    @Test("a prompt that begins like the session's tokens costs only its new part and gives the same answer")
    func prefixReuse() throws {
      let session = try Session(model)
      let options = #"{"max_new_tokens": 10, "ignore_eos": 1, "temperature": 0.8, "seed": 5}"#
      let first = session.generate(try Request(model, tokens: someTokens(40), options))
      #expect(first.stats.n_cached == 0)
      for prompt in [someTokens(40) + first.tokens + someTokens(5, seed: 9), someTokens(40), Array(someTokens(40)[..<8])] {
        let request = try Request(model, tokens: prompt, options)
        let reused = session.generate(request)
        let fresh = try Session(model).generate(request)
        #expect(reused.tokens == fresh.tokens && reused.text == fresh.text)
        #expect(reused.stats.n_prompt == Int64(prompt.count))
        #expect(reused.stats.n_cached >= min(Int64(prompt.count) - 1, 40))
        #expect(reused.stats.n_cached < reused.stats.n_prompt)
      }
      let different = session.generate(try Request(model, tokens: someTokens(20, seed: 77), options))
      #expect(different.stats.n_cached <= 1)
    }

    @Test("the same request again evaluates nothing anew when the logits are there")
    func promptAlreadyThere() throws {
      let session = try Session(model)
      try check(session.evaluate(someTokens(12)))
      let request = try Request(model, tokens: someTokens(12), #"{"max_new_tokens": 4, "ignore_eos": 1}"#)
      let answer = session.generate(request)
      #expect(answer.stats.n_cached == 12)
      #expect(answer.tokens == (try Session(model).generate(request)).tokens)
    }

    @Test("a seed gives the same text each time, another seed another text")
    func seeds() throws {
      func text(_ seed: String) throws -> [Int32] {
        try Session(model).generate(
          Request(model, "abc", "{\"max_new_tokens\": 30, \"temperature\": 2, \"ignore_eos\": 1, \"seed\": \(seed)}")
        ).tokens
      }
      #expect(try text("1") == text("1"))
      #expect(try text("9007199254740992") == text("9007199254740992"))
      #expect(try text("1") != text("2"))
      #expect(try text("-1") != text("-1"))
    }

    @Test("logprobs are those of the unchanged logits")
    func logprobs() throws {
      let session = try Session(model)
      let prompt = someTokens(9)
      let answer = session.generate(
        try Request(model, tokens: prompt, #"{"max_new_tokens": 8, "ignore_eos": 1, "logprobs": 1, "temperature": 3, "seed": 2}"#))
      let logprobs = try #require(answer.logprobs)
      let scored = try Session(model).score(prompt + answer.tokens).logprobs.suffix(8)
      // Both are taken of logits within 1e-4 of each other.
      #expect(zip(logprobs, scored).allSatisfy { abs($0 - $1) < 1e-3 })
      #expect(answer.events.flatMap { $0.logprobs ?? [] } == logprobs)
      let without = session.generate(try Request(model, tokens: prompt, #"{"max_new_tokens": 2, "ignore_eos": 1}"#))
      #expect(without.logprobs == nil)
      #expect(without.events.allSatisfy { $0.logprobs == nil })
    }

    @Test("a request of another model is MISMATCH")
    func mismatch() throws {
      let session = try Session(model)
      try check(session.evaluate([7]))
      let answer = session.generate(try Request(openTinyModel(), "abc"))
      #expect(answer.status == XVERSE_E_MISMATCH && !answer.hasResult && answer.message.contains("different models"))
      #expect(session.length == 1)
    }

    @Test("an empty prompt is INVALID and leaves the session as it was")
    func emptyPrompt() throws {
      let session = try Session(model)
      try check(session.evaluate([7]))
      for request in [try Request(model), try Request(model, "")] {
        let answer = session.generate(request)
        #expect(answer.status == XVERSE_E_INVALID && !answer.hasResult && answer.message.contains("prompt"))
      }
      #expect(session.length == 1)
    }

    @Test("stats count prompt, generated tokens and time")
    func stats() throws {
      let answer = try Session(model).generate(
        Request(model, tokens: someTokens(30), #"{"max_new_tokens": 6, "ignore_eos": 1}"#))
      let stats = answer.stats
      #expect(stats.n_prompt == 30 && stats.n_cached == 0 && stats.n_generated == 6)
      #expect(stats.n_draft == 0 && stats.n_draft_accepted == 0)
      #expect(stats.ns_prefill > 0 && stats.ns_decode > 0 && stats.ns_queue >= 0)
      #expect(stats.ns_first_token >= stats.ns_prefill)
      #expect(stats.kv_bytes == 64 * 512 && stats.scratch_bytes > 0)
    }

    // MARK: models that are not as they should be

    @Test("a model with more rows than its tokenizer has tokens streams on, those ids having no text")
    func vocabularyLargerThanTokenizer() throws {
      var checkpoint = TinyCheckpoint()
      checkpoint.unusedRowCount = 40
      let directory = try ModelDirectory(checkpoint)
      let model = try openModel(directory.path)
      let size = try info(of: model).n_vocab
      #expect(xverse_tokenizer_vocab_size(xverse_model_tokenizer(model.pointer)) == size - 40)
      let padding = "{\"\(size - 1)\": 1000}"
      let answer = try Session(model).generate(
        Request(model, "abc", "{\"max_new_tokens\": 5, \"logit_bias\": \(padding), \"logprobs\": 1}"))
      #expect(answer.status == XVERSE_OK)
      #expect(answer.tokens == Array(repeating: size - 1, count: 5))
      #expect(answer.streamedTokens == answer.tokens)
      #expect(answer.text == "")
    }

    @Test("a model without a finite logit is FAIL, told as FINISH_ERROR")
    func noFiniteLogit() throws {
      let directory = try ModelDirectory()
      var weights = try directory.bytes(of: "model.safetensors")
      // The last tensor in the file is lm_head, 32 floats a row: all of it becomes NaN.
      for index in weights.count - 32 * 4 * Int(try info(of: model).n_vocab)..<weights.count { weights[index] = 0xFF }
      try directory.write("model.safetensors", weights)
      let model = try openModel(directory.path)
      let session = try Session(model)
      let answer = session.generate(try Request(model, "abc"))
      #expect(answer.status == XVERSE_E_FAIL && !answer.hasResult)
      #expect(answer.message.contains("no token possible"))
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_ERROR)
      #expect(answer.events.last?.status == XVERSE_E_FAIL)
      #expect(try session.stats.finish_reason == Int32(XVERSE_FINISH_ERROR))
    }

    /// What a streaming detokenizer makes of the tokens.
    private func streamed(_ tokens: [Int32]) throws -> String {
      let detokenizer = try makeHandle(xverse_detokenizer_free) {
        xverse_detokenizer_create(
          xverse_model_tokenizer(model.pointer), Int32(XVERSE_DECODE_SKIP_SPECIAL), $0)
      }
      var bytes: [UInt8] = []
      var text: UnsafePointer<CChar>?
      var length = 0
      for token in tokens {
        try check(xverse_detokenizer_push(detokenizer.pointer, token, &text, &length))
        bytes += UnsafeRawBufferPointer(start: text, count: length)
      }
      try check(xverse_detokenizer_flush(detokenizer.pointer, &text, &length))
      bytes += UnsafeRawBufferPointer(start: text, count: length)
      return String(decoding: bytes, as: UTF8.self)
    }
  }
}

/// Counts calls from a closure.
private final class Counter {
  private var count = 0

  /// 0, 1, 2...
  func next() -> Int {
    defer { count += 1 }
    return count
  }
}

/// The text as a JSON string.
private func quoted(_ text: String) -> String {
  let data = (try? JSONSerialization.data(withJSONObject: [text])) ?? Data()
  return String(String(decoding: data, as: UTF8.self).dropFirst().dropLast())
}
