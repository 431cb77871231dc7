// SessionScoringTests.swift -- log probabilities of given tokens, and of the most probable ones.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

/// Logits of passes of many tokens differ from those of one by rounding (below 1e-4 for models of this size, see
/// ModelTests), and a log probability by at most twice that.
private let longPassTolerance = 2e-4

/// A log probability above -32 rounded to float32, and logits that are the same bits.
private let shortPassTolerance = 0x1p-19

@Suite("Session.score")
struct SessionScoringTests {
  @Test("agrees with the softmax of each position's logits", arguments: [1, 2, 15])
  func agreesWithSoftmax(count: Int) throws {
    let model = try loadTiny()
    let oracle = try Oracle(model)
    let session = try Session(model)
    let tokens = randomTokens(count, seed: 1)

    let logprobs = try session.score(tokens)

    #expect(logprobs[0] == 0)
    for index in tokens.indices {
      let expected = try oracle.logprob(of: tokens[index], after: Array(tokens.prefix(index)))
      #expect(abs(Double(logprobs[index]) - expected) <= shortPassTolerance, "token \(index)")
    }
    #expect(session.heldTokens == tokens)
    let isSame = try session.heldLogits == oracle.logits(after: tokens)
    #expect(isSame)
  }

  /// Products of 32 rows, chunks of 512 tokens, and what is left over of both.
  @Test("agrees with single steps across chunks", arguments: [31, 32, 33, 64, 512, 513, 545, 1025])
  func agreesAcrossChunks(count: Int) throws {
    let model = try loadTiny { $0.maximumPositions = 2048 }
    let session = try Session(model)
    let stepwise = try Session(model)
    let tokens = randomTokens(count, seed: 2)

    let logprobs = try session.score(tokens)

    var worst = 0.0
    for index in tokens.indices {
      let expected = try stepwise.score([tokens[index]])[0]
      worst = max(worst, logprobs[index].isNaN ? .infinity : abs(Double(logprobs[index]) - Double(expected)))
    }
    #expect(worst <= longPassTolerance)
    let logits = zip(try #require(session.heldLogits), try #require(stepwise.heldLogits))
    #expect(logits.allSatisfy { abs(Double($0) - Double($1)) <= longPassTolerance })
  }

  @Test("the first token is scored under what the session holds, even after truncation")
  func scoresAfterTokens() throws {
    let model = try loadTiny()
    let oracle = try Oracle(model)
    let session = try Session(model)
    let tokens = randomTokens(14, seed: 3)
    try session.evaluate(Array(tokens.prefix(12)))
    session.truncate(to: 9)

    let logprobs = try session.score(Array(tokens[9...]))

    for index in 9..<14 {
      let expected = try oracle.logprob(of: tokens[index], after: Array(tokens.prefix(index)))
      #expect(abs(Double(logprobs[index - 9]) - expected) <= shortPassTolerance, "token \(index)")
    }
    #expect(session.heldTokens == tokens)
  }

  @Test("scoring nothing changes nothing")
  func scoresNothing() throws {
    let session = try Session(try loadTiny())

    #expect(try session.score([]).isEmpty)

    #expect(session.length == 0)
    #expect(session.logits == nil)
  }

  @Test("refuses more tokens than the context holds and stays as it was")
  func refusesOverflow() throws {
    let session = try Session(try loadTiny(), context: 10)
    try session.evaluate(randomTokens(8, seed: 4))
    let logits = session.heldLogits

    let error = #expect(throws: XverseError.self) { _ = try session.score([7, 8, 9]) }

    #expect(error?.code == .contextFull)
    #expect(session.length == 8)
    #expect(session.heldLogits == logits)
  }

  @Test("the most probable tokens come first, the lower id among equals", arguments: [1, 5, 370, 1000])
  func findsTop(k: Int) throws {
    let model = try loadTiny()
    let session = try Session(model)
    let tokens = randomTokens(5, seed: 5)
    try session.evaluate(tokens)
    let logits = try #require(session.heldLogits)
    let expected = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }.prefix(k)
    var found = [Int32](repeating: -1, count: max(k, 370))
    var logprobs = [Float](repeating: .nan, count: max(k, 370))

    let count = try session.topLogprobs(k, tokens: &found, logprobs: &logprobs)

    #expect(count == min(k, 370))
    #expect(found.prefix(count).map { Int($0) } == Array(expected))
    let oracle = try Oracle(model)
    for index in 0..<min(count, 20) {
      let exact = try oracle.logprob(of: found[index], after: tokens)
      #expect(abs(Double(logprobs[index]) - exact) <= shortPassTolerance)
    }
  }

  @Test("there are no most probable tokens before the first evaluation")
  func needsLogits() throws {
    let session = try Session(try loadTiny())
    var token: Int32 = 0
    var logprob: Float = 0

    let error = #expect(throws: XverseError.self) {
      _ = try session.topLogprobs(1, tokens: &token, logprobs: &logprob)
    }

    #expect(error?.code == .misuse)
  }
}
