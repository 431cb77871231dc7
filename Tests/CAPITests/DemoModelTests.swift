// DemoModelTests.swift -- the demonstration model through xverse.h, against Hugging Face's float32 outputs.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("The demonstration model")
  struct DemoModelTests {
    let model: Handle
    let expected: DemoModel

    init() throws {
      model = try openModel(DemoModel.path)
      expected = try DemoModel.expected()
    }

    /// A conversation's request: the turns before `turn` with their answers, and its question.
    private func request(_ turns: ArraySlice<DemoModel.Continuation>, _ json: String) throws -> Request {
      let request = try Request(model, nil, json)
      for turn in turns.dropLast() {
        try check(request.add("user", turn.question ?? ""))
        try check(request.add("assistant", turn.text))
      }
      try check(request.add("user", turns.last?.question ?? ""))
      return request
    }

    private static let greedy = #"{"do_sample": 0, "max_new_tokens": 240}"#

    /// A request whose answer is the first story.
    private func story(_ json: String) throws -> (request: Request, answer: DemoModel.Continuation) {
      let turns = try #require(expected.chats.first { $0[0].text.hasPrefix("Once") || $0[0].text.count > 200 })
      return (try request(turns[...], json), turns[0])
    }

    @Test("ids and decoded texts are those of tokenizers")
    func tokenizer() throws {
      #expect(expected.texts.count > 20)
      for text in expected.texts {
        #expect(try encode(model, text.text) == text.ids, "\(text.text)")
        #expect(try encode(model, text.text, flags: XVERSE_ENCODE_SPECIAL) == text.specialIds, "\(text.text)")
        #expect(try decode(model, text.ids, flags: XVERSE_DECODE_PLAIN) == text.decoded, "\(text.text)")
      }
    }

    @Test("raw prompts are continued as by transformers, token for token")
    func prompts() throws {
      for prompt in expected.prompts {
        let request = try Request(model, prompt.prompt, #"{"do_sample": 0, "max_new_tokens": 60}"#)
        #expect(try request.tokens == prompt.promptIds)
        let answer = try Session(model).generate(request)
        #expect(answer.tokens == prompt.ids)
        #expect(answer.streamedText == answer.text)
      }
    }

    @Test("conversations have the ids of XVERSE's chat() and transformers' greedy answers, in one session")
    func chats() throws {
      for turns in expected.chats {
        let session = try Session(model)
        for end in turns.indices {
          let request = try request(turns[...end], Self.greedy)
          #expect(try request.tokens == turns[end].promptIds)
          let answer = session.generate(request)
          #expect(answer.tokens == turns[end].ids)
          #expect(answer.text == turns[end].text)
          #expect(answer.events.last?.finishReason == XVERSE_FINISH_EOS)
          // The rounds before are in the session already.
          if end > 0 { #expect(answer.stats.n_cached >= Int64(turns[end - 1].promptIds.count)) }
        }
      }
    }

    // The float32 reference is 2e-5 away from float64; a mistake of any kind moves logits by more than 5e-4.
    @Test("first logits agree within 2e-4 with float32 transformers, with every kind of kernels")
    func logits() throws {
      for isa in ["auto", "reference"] {
        let model = try openModel(DemoModel.path, on: makeRuntime("{\"isa\": \"\(isa)\"}"))
        for continuation in expected.prompts + expected.chats.flatMap({ $0 }) {
          let session = try Session(model)
          try check(session.evaluate(continuation.promptIds))
          let logits = try session.logits
          #expect(try session.topLogprobs(continuation.topIds.count).tokens == continuation.topIds)
          for (id, logit) in zip(continuation.topIds, continuation.topLogits) {
            #expect(abs(logits[Int(id)] - logit) < 2e-4)
          }
        }
      }
    }

    @Test("a Chinese answer streams whole characters, though its commas are three tokens each")
    func streaming() throws {
      let turns = try #require(expected.chats.first { $0[0].text.contains("，") })
      let answer = try Session(model).generate(try request(turns[...], Self.greedy))
      let pieces = answer.events.filter { $0.kind == XVERSE_EVENT_TOKENS }.map(\.text)
      #expect(pieces.joined() == turns[0].text)
      #expect(pieces.allSatisfy { !$0.contains("\u{FFFD}") })
      #expect(pieces.filter { $0 == "，" }.count > 1)
      #expect(pieces.count == answer.tokens.count && pieces.filter(\.isEmpty).count > pieces.filter { $0 == "，" }.count)
    }

    @Test("a stop string ends the story before it and is not shown, though it spans tokens")
    func stop() throws {
      let full = try story(Self.greedy).answer
      let sentences = full.text.components(separatedBy: ". ")
      let stop = ". " + sentences[2].prefix(8)
      let json = try String(
        decoding: JSONSerialization.data(withJSONObject: ["do_sample": 0, "max_new_tokens": 240, "stop": [stop]]),
        as: UTF8.self)
      let answer = try Session(model).generate(story(json).request)
      #expect(answer.text == sentences[..<2].joined(separator: ". "))
      #expect(answer.streamedText == answer.text)
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_STOP)
      #expect(full.ids.starts(with: answer.tokens))
    }

    @Test("a cancelled answer has streamed a beginning; asked again, the session gives the whole")
    func cancel() throws {
      let (request, full) = try story(Self.greedy)
      let session = try Session(model)
      let cancel = try makeCancel()
      var seen = 0
      let cancelled = session.generate(request, cancel: cancel) { event in
        seen += event.tokens.count
        if seen == 10 { xverse_cancel_trigger(cancel.pointer) }
        return 0
      }
      #expect(cancelled.status == XVERSE_E_CANCELLED && !cancelled.hasResult)
      #expect(cancelled.streamedTokens == Array(full.ids[..<10]))
      #expect(full.text.hasPrefix(cancelled.streamedText) && !cancelled.streamedText.isEmpty)
      #expect(session.length >= Int64(full.promptIds.count) && session.length < Int64(full.promptIds.count + 11))
      xverse_cancel_reset(cancel.pointer, 0)
      let again = session.generate(request, cancel: cancel)
      #expect(again.tokens == full.ids && again.text == full.text)
    }

    @Test("a callback that stops keeps what there is; the length limit ends with LENGTH")
    func endings() throws {
      let (request, full) = try story(Self.greedy)
      var seen = 0
      let stopped = try Session(model).generate(request) { event in
        seen += event.tokens.count
        return seen == 5 ? 1 : 0
      }
      #expect(stopped.status == XVERSE_STOPPED && stopped.tokens == Array(full.ids[..<5]))
      let short = try Session(model).generate(story(#"{"do_sample": 0, "max_new_tokens": 7}"#).request)
      #expect(short.tokens == Array(full.ids[..<7]))
      #expect(short.events.last?.finishReason == XVERSE_FINISH_LENGTH)
    }

    @Test("the same seed tells the same story, another one another, and any number of threads the same")
    func sampling() throws {
      func told(_ seed: Int, threads: Int) throws -> [Int32] {
        let model = try openModel(DemoModel.path, on: makeRuntime("{\"threads\": \(threads)}"))
        let request = try Request(model, nil, "{\"do_sample\": 1, \"temperature\": 1, \"seed\": \(seed)}")
        try check(request.add("user", "Tell me a story."))
        return try Session(model).generate(request).tokens
      }
      let first = try told(1, threads: 1)
      #expect(first.count > 50)
      #expect(try told(1, threads: 2) == first && told(1, threads: 3) == first)
      #expect(try told(2, threads: 1) != first)
    }
  }
}
