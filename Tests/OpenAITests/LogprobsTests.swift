// LogprobsTests.swift -- log probabilities in both shapes, against those that the session itself has.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseRuntime

@testable import XverseOpenAI

/// Both sum 363 weights in another order and round a number below 32 to float32.
private let tolerance = 1e-5

@Suite("logprobs")
struct LogprobsTests {
  private let fields = #""temperature": 1.5, "seed": 4, "ignore_eos": true, "max_tokens": 10"#

  /// What `topLogprobs` says at each place of the answer that the session holds, and the tokens there.
  private func expected(_ session: Session, _ k: Int) throws -> [(token: Int32, tokens: [Int32], logprobs: [Float])] {
    let held = Array(session.tokens)
    let begin = session.statistics.promptTokens
    return try (begin..<held.count).map { end in
      session.truncate(to: end - 1)
      try held[(end - 1)..<end].withUnsafeBufferPointer { try session.evaluate($0) }
      var tokens = [Int32](repeating: 0, count: k)
      var logprobs = [Float](repeating: 0, count: k)
      _ = try session.topLogprobs(k, tokens: &tokens, logprobs: &logprobs)
      try held[end...].prefix(1).withUnsafeBufferPointer { try session.evaluate($0) }
      return (held[end], tokens, logprobs)
    }
  }

  @Test("a chat's agree with the session's own, token by token", arguments: [false, true])
  func chatShape(streams: Bool) throws {
    let session = try tinySession()
    let done = try session.complete(chat(#"\#(fields), "logprobs": true, "top_logprobs": 4, "stream": \#(streams)"#))
    let streamed = done.streamed().flatMap { $0["logprobs"]?["content"].map { Array($0.elements) } ?? [] }
    let content = try #require(done.choices[0]["logprobs"]?["content"]).elements.map { $0 }
    let spelling = { (token: Int32) in Array(session.model.tokenizer.bytes(of: token) ?? .init(start: nil, count: 0)) }

    #expect(content.count == 10)
    #expect(done.choices[0]["logprobs"]?["refusal"]?.isNull == true)
    if streams { #expect(streamed.map { $0["token"]?.string } == content.map { $0["token"]?.string }) }
    // The session does not hold the last token.
    for (entry, expected) in zip(streams ? streamed : content, try expected(session, 4)) {
      #expect(entry["bytes"]?.numbers == spelling(expected.token).map { Double($0) })
      let top = try #require(entry["top_logprobs"]).elements.map { $0 }
      #expect(top.map { $0["bytes"]?.numbers ?? [] } == expected.tokens.map { spelling($0).map { Double($0) } })
      for (alternative, logprob) in zip(top, expected.logprobs) {
        #expect(abs((alternative["logprob"]?.double ?? .nan) - Double(logprob)) <= tolerance)
      }
      if let place = expected.tokens.firstIndex(of: expected.token) {
        #expect(entry["logprob"]?.double == top[place]["logprob"]?.double)
      }
    }
  }

  @Test("those of completions are lists, with offsets that spell the text", arguments: [false, true])
  func textShape(streams: Bool) throws {
    let session = try tinySession()
    // Without lone bytes, each of which would be a U+FFFD in the text.
    let bytes = TinyCheckpoint.vocabulary.pieces.indices.suffix(256).map { #""\#($0)": -100"# }
    let bias = #""logit_bias": {\#(bytes.joined(separator: ","))}"#
    let done = try session.complete(completion(#"\#(fields), \#(bias), "logprobs": 2, "stream": \#(streams)"#))
    let parts =
      streams ? done.streamed().compactMap { $0["logprobs"] }.filter { !$0.isNull } : [done.choices[0]["logprobs"]!]
    let tokens = parts.flatMap { $0["tokens"]?.strings ?? [] }
    let offsets = parts.flatMap { $0["text_offset"]?.numbers ?? [] }
    let logprobs = parts.flatMap { $0["token_logprobs"]?.numbers ?? [] }
    let top = parts.flatMap { $0["top_logprobs"].map { Array($0.elements) } ?? [] }

    #expect(tokens.count == 10 && offsets.count == 10 && logprobs.count == 10 && top.count == 10)
    for (index, expected) in try expected(session, 2).enumerated() {
      // A more probable token may have the same text.
      #expect(top[index][tokens[index]]?.double.map { $0 >= logprobs[index] } == true)
      #expect((1...3).contains(top[index].keys.count))
      let best = try #require(top[index].members.first { _ in true }).value.double
      #expect(abs((best ?? .nan) - Double(expected.logprobs[0])) <= tolerance)
    }
    #expect(offsets.first == 0)
    #expect(zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 })
    let text = Array(try #require(done.text()).unicodeScalars)
    for (token, offset) in zip(tokens, offsets) where !token.hasPrefix("bytes:") && !token.hasPrefix("<") {
      #expect(text.dropFirst(Int(offset)).prefix(token.unicodeScalars.count).elementsEqual(token.unicodeScalars))
    }
  }

  @Test("without alternatives there are none, or in completions the token itself")
  func counts() throws {
    let none = try tinySession().complete(chat(#"\#(fields), "logprobs": true"#))
    let content = try #require(none.choices[0]["logprobs"]?["content"])
    #expect(content.elements.allSatisfy { $0["top_logprobs"]?.elements.first { _ in true } == nil })
    let lone = try tinySession().complete(completion(#"\#(fields), "logprobs": 0"#))
    let top = try #require(lone.choices[0]["logprobs"]?["top_logprobs"])
    #expect(top.elements.allSatisfy { $0.keys.count == 1 })
  }

  @Test("a token that is next to impossible has a number, not infinity")
  func impossible() throws {
    let session = try tinySession()
    var output = JSONBufferWriter(allocator: .system)
    try output.beginObject()
    var writer = LogprobsWriter(.chat, session.model.tokenizer)
    let token: Int32 = 7
    let logprob = -Float.infinity
    try withUnsafePointer(to: token) { token in
      try withUnsafePointer(to: logprob) { logprob in
        let tokens = UnsafeBufferPointer(start: token, count: 1)[...]
        let logprobs = UnsafeBufferPointer(start: logprob, count: 1)[...]
        try writer.write(TokenLogprobs(tokens: tokens, logprobs: logprobs), to: &output)
      }
    }
    try output.endObject()
    let content = try #require(try parse(Array(output.text))["logprobs"]?["content"]?[0])
    #expect(content["logprob"]?.double == -9999)
  }
}
