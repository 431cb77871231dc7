// SessionTests.swift -- a session's tokens and logits: evaluation, what it refuses, truncation, shifting.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseLoading
import XverseTensors

@testable import XverseRuntime

@Suite("Session")
struct SessionTests {
  @Test("starts without tokens and logits")
  func startsEmpty() throws {
    let session = try Session(try loadTiny())

    #expect(session.length == 0)
    #expect(session.tokens.isEmpty)
    #expect(session.logits == nil)
    #expect(session.context == 256)
    #expect(session.hasRoom)
    #expect(session.cacheBytes == 0)
  }

  @Test("leaves the logits after the last token", arguments: [1, 2, 15])
  func evaluates(count: Int) throws {
    let model = try loadTiny()
    let session = try Session(model)
    let tokens = randomTokens(count, seed: 1)

    try session.evaluate(tokens)

    #expect(session.heldTokens == tokens)
    #expect(session.length == count)
    let isSame = try session.heldLogits == Oracle(model).logits(after: tokens)
    #expect(isSame)
  }

  @Test("tells progress after every chunk of 512")
  func tellsProgress() throws {
    let session = try Session(try loadTiny { $0.maximumPositions = 2048 })
    var steps: [[Int]] = []

    try session.evaluate(randomTokens(1100, seed: 2)) { (done, total) throws(XverseError) in
      steps.append([done, total])
    }

    #expect(steps == [[512, 1100], [1024, 1100], [1100, 1100]])
    #expect(session.length == 1100)
  }

  @Test("evaluating nothing changes nothing")
  func evaluatesNothing() throws {
    let session = try Session(try loadTiny())
    try session.evaluate([])
    #expect(session.logits == nil)
    try session.evaluate([10, 11])
    let logits = session.heldLogits

    try session.evaluate([])

    #expect(session.heldTokens == [10, 11])
    #expect(session.heldLogits == logits)
  }

  @Test("refuses an id outside the vocabulary, naming its place", arguments: [-1, 370, .max, .min] as [Int32])
  func refusesID(token: Int32) throws {
    let session = try Session(try loadTiny())
    try session.evaluate([10, 11])
    let logits = session.heldLogits
    #expect(TinyCheckpoint.vocabulary.pieces.count == 370)

    let evaluation = #expect(throws: XverseError.self) { try session.evaluate([5, 6, token]) }
    let score = #expect(throws: XverseError.self) { _ = try session.score([5, 6, token]) }

    #expect(evaluation?.code == .range)
    #expect(evaluation?.message == "tokens[2] is \(token), expected 0 to 369")
    #expect(score == evaluation)
    #expect(session.heldTokens == [10, 11])
    #expect(session.heldLogits == logits)
  }

  @Test("refuses more tokens than the context holds and stays as it was")
  func refusesOverflow() throws {
    let session = try Session(try loadTiny(), context: 10)
    try session.evaluate(randomTokens(8, seed: 3))
    let (tokens, logits) = (session.heldTokens, session.heldLogits)

    let error = #expect(throws: XverseError.self) { try session.evaluate([7, 8, 9]) }

    #expect(error?.code == .contextFull)
    #expect(error?.message == "the session holds 8 tokens and 3 more do not fit in its context of 10")
    #expect(session.heldTokens == tokens)
    #expect(session.heldLogits == logits)
    try session.evaluate([7, 8])
    #expect(!session.hasRoom)
  }

  @Test("a context may be longer than the model was trained for")
  func exceedsTrainedLength() throws {
    let session = try Session(try loadTiny { $0.maximumPositions = 16 }, context: 40)

    try session.evaluate(randomTokens(40, seed: 4))

    #expect(session.length == 40)
    #expect(session.heldLogits?.allSatisfy { $0.isFinite } == true)
  }

  @Test("needs a model with weights")
  func needsWeights() throws {
    var options = ModelOptions()
    options.vocabularyOnly = true
    let model = try loadTiny(options: options)

    let error = #expect(throws: XverseError.self) { try Session(model) }

    #expect(error?.code == .misuse)
    #expect(error?.message.contains("vocab_only") == true)
  }

  @Test("truncation forgets tokens and their logits, and no more than there are")
  func truncates() throws {
    let model = try loadTiny()
    let session = try Session(model)
    let tokens = randomTokens(12, seed: 5)
    try session.evaluate(tokens)
    let logits = session.heldLogits

    session.truncate(to: 12)
    session.truncate(to: 100)
    #expect(session.heldLogits == logits)
    session.truncate(to: 7)
    #expect(session.heldTokens == Array(tokens.prefix(7)))
    #expect(session.logits == nil)
    try session.evaluate(Array(tokens[7...]))

    #expect(session.heldLogits == logits)
  }

  @Test("restores the logits that truncation took")
  func restoresLogits() throws {
    let model = try loadTiny()
    let session = try Session(model)
    let tokens = randomTokens(12, seed: 6)
    try session.restoreLogits()
    #expect(session.logits == nil)
    try session.evaluate(tokens)
    session.truncate(to: 9)

    try session.restoreLogits()

    #expect(session.heldTokens == Array(tokens.prefix(9)))
    let isSame = try session.heldLogits == Oracle(model).logits(after: Array(tokens.prefix(9)))
    #expect(isSame)
  }

  @Test("a cancelled restoration loses no token")
  func keepsTokensWhenCancelled() throws {
    let session = try Session(try loadTiny())
    let tokens = randomTokens(12, seed: 7)
    try session.evaluate(tokens)
    session.truncate(to: 9)
    let cancellation = Cancellation()
    cancellation.trigger()

    let restoration = #expect(throws: XverseError.self) { try session.restoreLogits(cancellation: cancellation) }
    let score = #expect(throws: XverseError.self) { _ = try session.score([20], cancellation: cancellation) }

    #expect(restoration?.code == .cancelled)
    #expect(score?.code == .cancelled)
    #expect(session.heldTokens == Array(tokens.prefix(9)))
    #expect(session.logits == nil)
    let fresh = try Session(session.host)
    try fresh.evaluate(Array(tokens.prefix(9)))
    try session.restoreLogits()
    #expect(session.heldLogits == fresh.heldLogits)
  }

  @Test("two sessions of one model do not disturb each other")
  func areIndependent() throws {
    let model = try loadTiny()
    let oracle = try Oracle(model)
    let (one, other) = (try Session(model), try Session(model))
    let (a, b) = (randomTokens(12, seed: 8), randomTokens(14, seed: 9))

    for index in 0..<12 {
      try one.evaluate([a[index]])
      try other.evaluate([b[index]])
    }

    let isSame = try one.heldLogits == oracle.logits(after: a)
    let isOtherSame = try other.heldLogits == oracle.logits(after: Array(b.prefix(12)))
    #expect(isSame)
    #expect(isOtherSame)
  }
}

@Suite("Session shift")
struct SessionShiftTests {
  @Test(
    "a full context goes on with its newer half, as if it had begun there",
    arguments: [(10, 1, 7), (14, 1, 7), (14, 7, 7), (14, 10, 4), (3, 14, 0), (14, 14, 0), (5, 10, 4)])
  func keepsNewerHalf(held: Int, added: Int, kept: Int) throws {
    let model = try loadTiny()
    let session = try Session(model, context: 14, overflow: .shift)
    let (old, new) = (randomTokens(held, seed: 1), randomTokens(added, seed: 2))
    try session.evaluate(old)

    try session.evaluate(new)

    let expected = held + added > 14 ? Array(old.suffix(kept)) + new : old + new
    #expect(session.heldTokens == expected)
    let isSame = try session.heldLogits == Oracle(model).logits(after: expected)
    #expect(isSame)
    #expect(session.hasRoom)
  }

  @Test("refuses more tokens than the context holds and stays as it was")
  func refusesTooMany() throws {
    let session = try Session(try loadTiny(), context: 14, overflow: .shift)
    try session.evaluate([10, 11])
    let logits = session.heldLogits

    let error = #expect(throws: XverseError.self) { try session.evaluate(randomTokens(15, seed: 3)) }

    #expect(error?.code == .contextFull)
    #expect(session.heldTokens == [10, 11])
    #expect(session.heldLogits == logits)
  }

  @Test("scoring never shifts")
  func scoresWithoutShift() throws {
    let session = try Session(try loadTiny(), context: 14, overflow: .shift)
    try session.evaluate(randomTokens(14, seed: 4))

    let error = #expect(throws: XverseError.self) { _ = try session.score([10]) }

    #expect(error?.code == .contextFull)
    #expect(session.length == 14)
  }

  @Test("without memory for the blocks of the new sequence stays as it was")
  func reportsShortage() throws {
    let allocator = MemoryAllocator(limit: 64 << 20)
    let model = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator)) { $0.maximumPositions = 512 }
    let session = try Session(model, overflow: .shift)
    try session.evaluate(randomTokens(20, seed: 5))
    let (tokens, logits) = (session.heldTokens, session.heldLogits)
    // Room for the ids, and for less than a block.
    let ballast = (64 << 20) - allocator.current - 8000
    let memory = try allocator.allocate(ballast)

    let error = #expect(throws: XverseError.self) { try session.evaluate(randomTokens(500, seed: 6)) }

    allocator.deallocate(memory, bytes: ballast)
    #expect(error?.code == .outOfMemory)
    #expect(session.heldTokens == tokens)
    #expect(session.heldLogits == logits)
  }
}
