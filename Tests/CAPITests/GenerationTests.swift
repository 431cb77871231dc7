// GenerationTests.swift -- what is generated: events and results, the same again, models that are not as they should be.

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
      let json = """
        {"temperature": 0.9, "top_p": 0.95, "top_k": 40, "repetition_penalty": 1.2, "seed": 11, "ignore_eos": 1,
        "max_new_tokens": 20}
        """
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
      #expect(
        Array(kinds.dropFirst(prefills)) == Array(repeating: XVERSE_EVENT_TOKENS, count: 6) + [XVERSE_EVENT_FINISHED])
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

    @Test("a prompt that begins like the session's tokens costs only its new part and gives the same answer")
    func prefixReuse() throws {
      let session = try Session(model)
      let options = #"{"max_new_tokens": 10, "ignore_eos": 1, "temperature": 0.8, "seed": 5}"#
      let first = session.generate(try Request(model, tokens: someTokens(40), options))
      #expect(first.stats.n_cached == 0)
      for prompt in [
        someTokens(40) + first.tokens + someTokens(5, seed: 9), someTokens(40), Array(someTokens(40)[..<8]),
      ] {
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
        try Request(
          model, tokens: prompt, #"{"max_new_tokens": 8, "ignore_eos": 1, "logprobs": 1, "temperature": 3, "seed": 2}"#)
      )
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
