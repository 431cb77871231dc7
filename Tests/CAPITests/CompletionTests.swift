// CompletionTests.swift -- xverse_session_generate_json: statuses, objects, events.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("xverse_session_generate_json")
  struct CompletionTests {
    private static let chat = #"{"messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "ignore_eos": true"#

    @Test("gives the response that xverse_session_generate gives as text, and uses the session's tokens again")
    func response() throws {
      let model = try openTinyModel()
      let request = try Request(model, nil, #"{"temperature": 0, "ignore_eos": 1, "max_new_tokens": 8}"#)
      try check(request.add("user", "Hi"))
      let session = try Session(model)
      let expected = session.generate(request)

      let done = session.complete(Self.chat + #", "max_tokens": 8}"#)

      #expect(done.status == XVERSE_OK)
      let choice = try #require((done.object["choices"] as? [[String: Any]])?.first)
      #expect((choice["message"] as? [String: Any])?["content"] as? String == expected.text)
      #expect(done.object["system_fingerprint"] as? String == "xverse-\(String(cString: xverse_version()))")
      let usage = try #require(done.object["usage"] as? [String: Any])
      let details = try #require(usage["prompt_tokens_details"] as? [String: Any])
      #expect(details["cached_tokens"] as? Int64 == expected.stats.n_prompt - 1)
      #expect(try session.stats.n_generated == 8)
      #expect(session.length == expected.stats.n_prompt + 7)
      #expect(done.events.filter { $0.kind == XVERSE_EVENT_TOKENS }.count == 8)
      #expect(done.events.last?.kind == XVERSE_EVENT_FINISHED)
    }

    @Test("a stream comes as JSON events, one chunk each")
    func stream() throws {
      let session = try Session(openTinyModel())

      let done = session.complete(Self.chat + #", "max_tokens": 8, "stream": true}"#)

      #expect(done.status == XVERSE_OK)
      #expect(Set(done.events.map(\.kind)) == [XVERSE_EVENT_PREFILL, XVERSE_EVENT_JSON])
      let chunks = try done.events.filter { $0.kind == XVERSE_EVENT_JSON }.map { try jsonObject($0.text) }
      let deltas = chunks.compactMap { ($0["choices"] as? [[String: Any]])?.first?["delta"] as? [String: Any] }
      let choice = try #require((done.object["choices"] as? [[String: Any]])?.first)
      let text = (choice["message"] as? [String: Any])?["content"] as? String
      #expect(deltas.compactMap { $0["content"] as? String }.joined() == text)
      #expect(deltas.first?["role"] as? String == "assistant")
    }

    @Test("a callback that stops ends it with what there is", arguments: [XVERSE_EVENT_PREFILL, XVERSE_EVENT_JSON])
    func stops(kind: Int) throws {
      let session = try Session(openTinyModel())

      let done = session.complete(Self.chat + #", "n": 3, "stream": true}"#) { $0.kind == kind ? 1 : 0 }

      #expect(done.status == XVERSE_STOPPED)
      let choices = try #require(done.object["choices"] as? [[String: Any]])
      #expect(choices.count == 1)
      #expect(choices[0]["finish_reason"] is NSNull)
      #expect(done.events.filter { $0.kind == XVERSE_EVENT_JSON }.count == (kind == XVERSE_EVENT_JSON ? 1 : 0))
    }

    @Test(
      "an error comes as status, message and OpenAI's object",
      arguments: [
        ("{", XVERSE_E_PARSE, nil, "invalid_json"), ("[]", XVERSE_E_INVALID, nil, "invalid_value"),
        (chat + #", "top_p": 2}"#, XVERSE_E_RANGE, "top_p", "invalid_value"),
        (chat + #", "tools": [{}]}"#, XVERSE_E_UNSUPPORTED, "tools", "unsupported_value"),
        (#"{"prompt": [100000]}"#, XVERSE_E_RANGE, "prompt", "invalid_value"),
        (#"{"prompt": ""}"#, XVERSE_E_INVALID, nil, "invalid_value"),
      ] as [(String, Int, String?, String)])
    func errors(json: String, status: Int, field: String?, code: String) throws {
      let session = try Session(openTinyModel())
      try check(session.evaluate([7, 8]))

      let done = session.complete(json)

      #expect(done.status == status)
      let error = try #require(done.object["error"] as? [String: Any])
      #expect(error["message"] as? String == done.message)
      #expect(error["param"] as? String == field)
      #expect(error["code"] as? String == code)
      #expect(error["type"] as? String == "invalid_request_error")
      #expect(done.events.isEmpty)
      #expect(try session.tokens == [7, 8])
      if status == XVERSE_E_PARSE { #expect(xverse_last_error_offset() == 1) }
    }

    @Test("a stream needs a callback, a triggered cancel object ends the call, a full context is an error")
    func endsOfOther() throws {
      let session = try Session(openTinyModel(), #"{"context": 12}"#)
      var out: UnsafeMutablePointer<CChar>?
      let stream = Self.chat + #", "stream": true}"#
      expect(
        xverse_session_generate_json(session.pointer, stream, stream.utf8.count, nil, nil, nil, &out, nil),
        is: XVERSE_E_INVALID, saying: "stream", "fn")
      #expect(out != nil)
      xverse_free(out)
      let full = session.complete(stream)
      #expect(full.status == XVERSE_E_CONTEXT_FULL)
      #expect((full.object["error"] as? [String: Any])?["code"] as? String == "context_length_exceeded")
      let cancel = try makeCancel()
      xverse_cancel_trigger(cancel.pointer)
      let cancelled = session.complete(#"{"prompt": "an in"}"#, cancel: cancel)
      #expect(cancelled.status == XVERSE_E_CANCELLED)
      #expect((cancelled.object["error"] as? [String: Any])?["type"] as? String == "server_error")
    }
  }
}

/// What xverse_session_generate_json left.
private struct JSONCompletion {
  let status: Int
  let message: String
  let object: [String: Any]
  let events: [Event]
}

private func jsonObject(_ text: String) throws -> [String: Any] {
  try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
}

extension Session {
  fileprivate func complete(
    _ json: String, cancel: Handle? = nil, onEvent: ((Event) -> Int32)? = nil
  ) -> JSONCompletion {
    let collector = EventCollector(onEvent)
    var out: UnsafeMutablePointer<CChar>?
    var length = 0
    let status = withExtendedLifetime(collector) {
      xverse_session_generate_json(
        pointer, json, json.utf8.count, cancel?.pointer, EventCollector.receive,
        Unmanaged.passUnretained(collector).toOpaque(), &out, &length)
    }
    let message = lastMessage
    defer { xverse_free(out) }
    guard let out, out[length] == 0 else {
      return JSONCompletion(status: Int(status), message: message, object: [:], events: collector.events)
    }
    let object = try? jsonObject(String(decoding: UnsafeRawBufferPointer(start: out, count: length), as: UTF8.self))
    return JSONCompletion(status: Int(status), message: message, object: object ?? [:], events: collector.events)
  }
}
