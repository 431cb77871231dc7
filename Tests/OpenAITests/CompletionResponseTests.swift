// CompletionResponseTests.swift -- whole responses and streams of a tiny model.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseRuntime

@testable import XverseOpenAI

private let greedy = #""temperature": 0, "ignore_eos": true"#

@Suite("Session.complete")
struct CompletionResponseTests {
  @Test("a chat response has OpenAI's members")
  func chatResponse() throws {
    let session = try tinySession()

    let response = try session.complete(chat(#"\#(greedy), "max_tokens": 5, "model": "m\"好""#)).response

    #expect(response.keys == ["id", "object", "created", "model", "system_fingerprint", "choices", "usage"])
    #expect(response["id"]?.string?.hasPrefix("chatcmpl-") == true)
    #expect(response["object"]?.string == "chat.completion")
    #expect(response["model"]?.string == "m\"好")
    #expect(response["system_fingerprint"]?.string == "xverse-test")
    let choice = try #require(response["choices"]?[0])
    #expect(choice.keys == ["index", "message", "logprobs", "finish_reason"])
    #expect(choice["message"]?["role"]?.string == "assistant")
    #expect(choice["message"]?["refusal"]?.isNull == true)
    #expect(choice["logprobs"]?.isNull == true)
    #expect(choice["finish_reason"]?.string == "length")
    let usage = try #require(response["usage"])
    #expect(usage["completion_tokens"]?.int == 5)
    #expect(usage["prompt_tokens"]?.int == session.statistics.promptTokens)
    #expect(usage["total_tokens"]?.int == session.statistics.promptTokens + 5)
    #expect(usage["prompt_tokens_details"]?["cached_tokens"]?.int == 0)
  }

  @Test("the answer is that of generate, and the prompt is used again")
  func sameAsGenerate() throws {
    let session = try tinySession()
    let prompt = try request(chat()).generationRequest(for: session.model, allocator: .system)
    let tokens = try prompt.prompt()
    var options = GenerationOptions()
    options.maximumNewTokens = 12
    options.ignoresEOS = true
    let expected = try session.generate(tokens.elements, options, continuesText: false)
    let text = String(decoding: expected.text.elements.prefix(expected.textLength), as: UTF8.self)

    let again = try session.complete(chat(#"\#(greedy), "max_tokens": 12"#))

    #expect(again.text() == text)
    let cached = again.response["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.int
    #expect(cached == tokens.count - 1)
  }

  @Test("chunks tell the role, the text, the end and what it took", arguments: [1, 3])
  func chatChunks(n: Int) throws {
    let session = try tinySession()

    let done = try session.complete(
      chat(#"\#(greedy), "max_tokens": 9, "n": \#(n), "stream": true, "stream_options": {"include_usage": true}"#))

    for index in 0..<n {
      let parts = done.streamed(index)
      #expect(parts.first?["delta"]?["role"]?.string == "assistant")
      #expect(parts.first?["delta"]?["content"]?.string == "")
      #expect(parts.dropFirst().allSatisfy { $0["delta"]?["role"] == nil })
      #expect(parts.dropLast().allSatisfy { $0["finish_reason"]?.isNull == true })
      #expect(parts.last?["finish_reason"]?.string == "length")
      #expect(parts.last?["delta"]?.keys == [])
      #expect(done.streamedText(index) == done.text(index))
    }
    let usage = try #require(done.chunks.last)
    #expect(usage["choices"]?[0] == nil)
    #expect(usage["usage"]?["completion_tokens"]?.int == 9 * n)
    #expect(usage["usage"]?["total_tokens"]?.int == done.response["usage"]?["total_tokens"]?.int)
    #expect(done.chunks.dropLast().allSatisfy { $0["usage"]?.isNull == true })
    #expect(Set(done.chunks.map { $0["id"]?.string }) == [done.response["id"]?.string])
    #expect(done.chunks.allSatisfy { $0["object"]?.string == "chat.completion.chunk" })
    #expect(!done.wasStopped)
  }

  @Test("chunks of completions hold text, and no usage unless asked for")
  func textChunks() throws {
    let done = try tinySession().complete(completion(#"\#(greedy), "stream": true"#))

    #expect(done.chunks.allSatisfy { $0["object"]?.string == "text_completion" && $0["usage"] == nil })
    #expect(done.streamedText() == done.text())
    #expect(done.response["usage"]?["completion_tokens"]?.int == 16)
  }

  @Test("answers to one prompt have seeds of their own and evaluate it once")
  func severalAnswers() throws {
    let fields = #""temperature": 2, "ignore_eos": true, "max_tokens": 12, "seed": "#
    let session = try tinySession()

    let both = try session.complete(chat(fields + #"7, "n": 2"#))

    #expect(both.choices.map { $0["index"]?.int } == [0, 1])
    #expect(session.statistics.cachedTokens == session.statistics.promptTokens - 1)
    #expect(both.response["usage"]?["prompt_tokens"]?.int == session.statistics.promptTokens)
    #expect(both.response["usage"]?["completion_tokens"]?.int == 24)
    #expect(try both.text(0) == tinySession().complete(chat(fields + "7")).text())
    #expect(try both.text(1) == tinySession().complete(chat(fields + "8")).text())
    #expect(both.text(0) != both.text(1))
  }

  @Test("ends before a stop string, which no chunk shows any part of")
  func stopStrings() throws {
    let whole = try #require(try tinySession().complete(completion(#"\#(greedy), "max_tokens": 30"#)).text())
    let end = whole.index(whole.startIndex, offsetBy: 3)
    let stop = whole[end...].prefix(2)
    let quoted = JSONWriter.quoted(String(stop))

    let done = try tinySession().complete(
      completion(#"\#(greedy), "max_tokens": 30, "stop": \#(quoted), "stream": true"#))

    let expected = whole[..<(try #require(whole.firstRange(of: stop))).lowerBound]
    #expect(done.text().map { $0 == expected } == true)
    #expect(done.streamedText() == String(expected))
    #expect(done.choices[0]["finish_reason"]?.string == "stop")
    #expect(done.streamed().last?["finish_reason"]?.string == "stop")
  }

  @Test("the token that ends an answer counts, and is not shown")
  func endOfSequence() throws {
    let done = try tinySession().complete(
      chat(#""temperature": 0, "logit_bias": {"3": 100}, "logprobs": true, "top_logprobs": 2, "stream": true"#))

    #expect(done.text() == "")
    #expect(done.choices[0]["finish_reason"]?.string == "stop")
    #expect(done.choices[0]["logprobs"]?["content"]?[0] == nil)
    #expect(done.response["usage"]?["completion_tokens"]?.int == 1)
    #expect(done.streamed().count == 2)
    #expect(done.streamed().last?["finish_reason"]?.string == "stop")
  }

  @Test("max_tokens 0 evaluates the prompt alone")
  func noTokens() throws {
    let done = try tinySession().complete(chat(#""max_tokens": 0, "logprobs": true"#))
    #expect(done.text() == "")
    #expect(done.choices[0]["finish_reason"]?.string == "length")
    #expect(done.response["usage"]?["completion_tokens"]?.int == 0)
  }

  @Test("stopped from outside, the response has what there is", arguments: [false, true])
  func stopped(streams: Bool) throws {
    let done = try tinySession().complete(
      chat(#"\#(greedy), "n": 3, "max_tokens": 20, "stream": \#(streams), "logprobs": true"#), stoppingAfter: 4)

    #expect(done.wasStopped)
    #expect(done.choices.count == 1)
    #expect(done.choices[0]["finish_reason"]?.isNull == true)
    if streams {
      #expect(done.chunks.count == 4)
      #expect(done.streamedText().isEmpty == (done.text() == ""))
    }
  }

  @Test("a conversation that does not fit is an error, not cut, and leaves the session as it was")
  func contextFull() throws {
    let session = try tinySession(context: 12)
    let before = Array(session.tokens)
    let error = #expect(throws: XverseError.self) { try session.complete(chat(#""max_tokens": 1"#)) }
    #expect(error?.code == .contextFull)
    #expect(Array(session.tokens) == before)
  }

  @Test("a cancelled call is an error")
  func cancelled() throws {
    let cancellation = Cancellation()
    cancellation.trigger()
    let error = #expect(throws: XverseError.self) {
      try tinySession().complete(chat(#""stream": true"#), cancellation: cancellation)
    }
    #expect(error?.code == .cancelled)
  }
}
