// ScoringTests.swift -- how probable a session and a model find tokens: score, top_logprobs, perplexity.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Scoring")
  struct ScoringTests {
    let model: Handle

    init() throws { model = try openTinyModel() }

    @Test("score is the log-softmax of the logits, step by step", arguments: [0, 3])
    func score(before: Int) throws {
      let (scoring, stepping) = (try Session(model), try Session(model))
      let tokens = someTokens(12, seed: 3)
      for session in [scoring, stepping] { try check(session.evaluate(someTokens(before))) }
      let (logprobs, sum) = try scoring.score(tokens)
      for (index, token) in tokens.enumerated() {
        let expected = before + index == 0 ? 0 : try logprob(of: token, in: stepping.logits)
        // Logits of magnitude 10 are equal in bits; the sum of their exponentials is taken in double by both.
        #expect(abs(Double(logprobs[index]) - expected) < 1e-5)
        try check(stepping.evaluate([token]))
      }
      #expect(sum == logprobs.reduce(0) { $0 + Double($1) })
      #expect(try scoring.tokens == stepping.tokens)
      #expect(try scoring.logits == stepping.logits)
    }

    @Test("score after truncate is that of a session that ends there")
    func scoreAfterTruncate() throws {
      let (session, fresh) = (try Session(model), try Session(model))
      try check(session.evaluate(someTokens(10)))
      try check(session.truncate(6))
      try check(fresh.evaluate(Array(someTokens(10).prefix(6))))
      #expect(try session.score([7, 8]).logprobs == fresh.score([7, 8]).logprobs)
      #expect(try session.tokens == fresh.tokens)
    }

    @Test("score of many tokens agrees with score of few at a time")
    func longScore() throws {
      let (atOnce, inParts) = (try Session(model), try Session(model))
      let tokens = someTokens(200)
      let expected = try stride(from: 0, to: 200, by: 5).flatMap { start in
        try inParts.score(Array(tokens[start..<start + 5])).logprobs
      }
      let found = try atOnce.score(tokens).logprobs
      // As for long prefills: logits within 1e-4 of each other.
      #expect(zip(found, expected).allSatisfy { abs($0 - $1) <= 2e-3 })
    }

    @Test("top_logprobs are sorted, are those of the logits and add up to one", arguments: [0, 1, 5, 1000])
    func topLogprobs(k: Int) throws {
      let session = try Session(model)
      try check(session.evaluate(someTokens(5)))
      let logits = try session.logits
      let (tokens, logprobs) = try session.topLogprobs(k)
      #expect(tokens.count == min(k, logits.count))
      #expect(Set(tokens).count == tokens.count)
      let expected = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }.prefix(k).map { Int32($0) }
      #expect(tokens == expected)
      for (token, logprob) in zip(tokens, logprobs) {
        #expect(abs(Double(logprob) - (try self.logprob(of: token, in: logits))) < 1e-5)
      }
      guard k > logits.count else { return }
      #expect(abs(logprobs.reduce(0) { $0 + exp(Double($1)) } - 1) < 1e-5)
      var count = 0
      var (token, logprob) = (Int32(-5), Float(-5))
      expect(
        xverse_session_top_logprobs(session.pointer, -1, &token, &logprob, &count), is: XVERSE_E_RANGE, saying: "-1")
      #expect(token == -5 && logprob == -5)
    }

    @Test("a cancelled score after truncate keeps the tokens that were there")
    func cancelledScore() throws {
      let session = try Session(model)
      try check(session.evaluate(someTokens(10)))
      try check(session.truncate(6))
      let cancel = try makeCancel()
      xverse_cancel_trigger(cancel.pointer)
      var sum = 0.0
      expect(
        xverse_session_score(session.pointer, [7, 8], 2, cancel.pointer, nil, &sum), is: XVERSE_E_CANCELLED)
      #expect(session.length == 6)
      #expect(try session.tokens == Array(someTokens(10).prefix(6)))
    }

    @Test("perplexity is exp of the mean of the scores", arguments: [false, true])
    func perplexity(beginsWithBOS: Bool) throws {
      let text = String(repeating: "the world and then ", count: 20)
      let tokens = try encode(model, text)
      let options = try makeOptions(XVERSE_OPTIONS_SCORE, "{\"context\": 32, \"bos\": \(beginsWithBOS)}")
      var (found, error) = (0.0, 0.0)
      let log = ProgressLog()
      try check(
        xverse_model_perplexity(
          model.pointer, text, text.utf8.count, options.pointer, nil, ProgressLog.receive, log.user, &found, &error))
      let prefix: [Int32] = beginsWithBOS ? [2] : []
      let fresh = 32 - prefix.count
      let logprobs = try (0..<tokens.count / fresh).flatMap { window in
        let session = try Session(model)
        return try session.score(prefix + Array(tokens[window * fresh..<(window + 1) * fresh])).logprobs.dropFirst()
      }
      let mean = -logprobs.reduce(0) { $0 + Double($1) } / Double(logprobs.count)
      // The same numbers, added in another order.
      #expect(abs(found - exp(mean)) < 1e-9 * found)
      #expect(error > 0)
      #expect(Set(log.reports.map(\.phase)) == ["score"])
      #expect(log.reports.count == tokens.count / fresh)
    }

    @Test("perplexity of fewer than two tokens is RANGE; it can be stopped and cancelled")
    func perplexityErrors() throws {
      var value = -1.0
      for text in ["", "a"] {
        expect(
          xverse_model_perplexity(model.pointer, text, text.utf8.count, nil, nil, nil, nil, &value, nil),
          is: XVERSE_E_RANGE, saying: "\(text.utf8.count) tokens")
      }
      let cancel = try makeCancel()
      xverse_cancel_trigger(cancel.pointer)
      expect(
        xverse_model_perplexity(model.pointer, "abcd", 4, nil, cancel.pointer, nil, nil, &value, nil),
        is: XVERSE_E_CANCELLED)
      let log = ProgressLog(stoppingAfter: 1)
      expect(
        xverse_model_perplexity(model.pointer, "abcd", 4, nil, nil, ProgressLog.receive, log.user, &value, nil),
        is: XVERSE_STOPPED)
    }

    private func logprob(of token: Int32, in logits: [Float]) throws -> Double {
      let largest = Double(try #require(logits.max()))
      let sum = logits.reduce(0) { $0 + exp(Double($1) - largest) }
      return Double(logits[Int(token)]) - largest - log(sum)
    }
  }
}
