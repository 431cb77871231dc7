// SessionScheduleTests.swift -- random schedules of everything a session can do, against a naive account of what it
// must hold; checked after every step.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseRuntime

/// What a session must hold, by the words of its documentation.
private struct Account {
  let context: Int
  let shifts: Bool
  var tokens: [Int32] = []
  var hasLogits = false
  /// The longest that the sequence ever was.
  var longest = 0

  /// Returns false for what does not fit, and changes nothing then.
  mutating func evaluate(_ new: [Int32]) -> Bool {
    guard !new.isEmpty else { return true }
    if tokens.count + new.count > context {
      guard shifts, new.count <= context else { return false }
      tokens = tokens.suffix(min(context / 2, context - new.count))
    }
    tokens += new
    hasLogits = true
    longest = max(longest, tokens.count)
    return true
  }

  mutating func truncate(to count: Int) {
    guard count < tokens.count else { return }
    tokens = Array(tokens.prefix(count))
    hasLogits = false
  }

  /// How much of a prompt need not be evaluated.
  func cachedCount(_ prompt: [Int32]) -> Int {
    let common = zip(tokens, prompt).prefix { $0 == $1 }.count
    return common == prompt.count && !(common == tokens.count && hasLogits) ? common - 1 : common
  }
}

/// A session, its account and the oracle that both are held against.
private struct Schedule {
  let session: Session
  let oracle: Oracle
  var account: Account
  var random: SeededRandom

  init(seed: UInt64, shifts: Bool) throws {
    let model = try loadTiny { $0.seed = seed }
    // A shifted sequence is one pass over at most the context: short enough to have the bits of single steps.
    let context = shifts ? 15 : 150
    session = try Session(model, context: context, overflow: shifts ? .shift : .error)
    oracle = try Oracle(model)
    account = Account(context: context, shifts: shifts)
    random = SeededRandom(seed: seed)
  }

  mutating func step() throws {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<40: try evaluate()
    case 40..<55: try truncate()
    case 55..<70: try score()
    case 70..<78: try restore()
    case 78..<85: try cancel()
    default: try generate()
    }
  }

  private mutating func evaluate() throws {
    let tokens = randomTokens(Int.random(in: 0...12, using: &random), using: &random)
    if account.evaluate(tokens) {
      try session.evaluate(tokens)
    } else {
      let error = #expect(throws: XverseError.self) { try session.evaluate(tokens) }
      #expect(error?.code == .contextFull)
    }
  }

  private mutating func truncate() throws {
    let count = Int.random(in: 0...account.tokens.count + 2, using: &random)
    account.truncate(to: count)
    session.truncate(to: count)
  }

  private mutating func score() throws {
    let tokens = randomTokens(Int.random(in: 1...12, using: &random), using: &random)
    guard account.tokens.count + tokens.count <= account.context else {
      let error = #expect(throws: XverseError.self) { _ = try session.score(tokens) }
      #expect(error?.code == .contextFull)
      return
    }
    let logprobs = try session.score(tokens)
    for index in tokens.indices {
      let expected = try oracle.logprob(of: tokens[index], after: account.tokens + tokens.prefix(index))
      // A float32 above -32, of logits that are the same bits.
      #expect(abs(Double(logprobs[index]) - expected) <= 0x1p-19)
    }
    _ = account.evaluate(tokens)
  }

  private mutating func restore() throws {
    try session.restoreLogits()
    account.hasLogits = !account.tokens.isEmpty
  }

  private mutating func cancel() throws {
    let cancellation = Cancellation()
    cancellation.trigger()
    let room = account.context - account.tokens.count
    guard room > 0 else { return }
    let tokens = randomTokens(Int.random(in: 1...min(room, 12), using: &random), using: &random)
    let error = #expect(throws: XverseError.self) { try session.evaluate(tokens, cancellation: cancellation) }
    #expect(error?.code == .cancelled)
  }

  private mutating func generate() throws {
    let kept = Int.random(in: 0...account.tokens.count, using: &random)
    let room = min(account.context - kept, 10)
    let added = Int.random(in: 0...room, using: &random)
    let prompt = Array(account.tokens.prefix(kept)) + randomTokens(added, using: &random)
    guard !prompt.isEmpty else { return }
    let limit = Int.random(in: 0...12, using: &random)
    let cached = account.cachedCount(prompt)

    let result = try session.generate(prompt, greedyOptions(limit))

    account.truncate(to: cached)
    _ = account.evaluate(Array(prompt[cached...]))
    var generated: [Int32] = []
    var reason = FinishReason.length
    while generated.count < limit {
      let token = try oracle.best(after: account.tokens)
      generated.append(token)
      if session.model.specialTokens.eos.contains(token) {
        reason = .eos
        break
      }
      guard generated.count < limit, account.evaluate([token]) else { break }
    }
    #expect(Array(result.tokens.elements) == generated)
    #expect(result.statistics.finishReason == reason)
    #expect(result.statistics.promptTokens == prompt.count)
    #expect(result.statistics.cachedTokens == cached)
    #expect(result.statistics.generatedTokens == generated.count)
  }

  func checkInvariants() throws {
    #expect(session.heldTokens == account.tokens)
    #expect(session.length == account.tokens.count)
    #expect((session.logits != nil) == account.hasLogits)
    #expect(session.hasRoom == (account.shifts || account.tokens.count < account.context))
    let blocks = (account.longest + KVLayout.positionsPerBlock - 1) / KVLayout.positionsPerBlock
    // 2 layers of keys and values, 2 heads of 8 float32 numbers.
    #expect(session.cacheBytes == blocks * KVLayout.positionsPerBlock * 2 * 2 * 2 * 8 * 4)
    guard let logits = session.heldLogits else { return }
    let isSame = try logits == oracle.logits(after: account.tokens)
    #expect(isSame, "logits after \(account.tokens.count) tokens")
  }
}

@Suite("Session schedules")
struct SessionScheduleTests {
  @Test("any schedule leaves what its account says", arguments: [1, 2, 3, 4] as [UInt64], [false, true])
  func keepsAccount(seed: UInt64, shifts: Bool) throws {
    var schedule = try Schedule(seed: seed, shifts: shifts)

    for _ in 0..<150 {
      try schedule.step()
      try schedule.checkInvariants()
    }
  }
}
