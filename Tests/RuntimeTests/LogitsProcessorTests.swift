// LogitsProcessorTests.swift -- the contract between the sampler and its processors, with processors of the test's own.

import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

@Suite("LogitsProcessor")
struct LogitsProcessorTests {
  @Test("forbids tokens by -inf, greedily and when drawing", arguments: [false, true])
  func forbidsTokens(doSample: Bool) throws {
    let sampler = try makeSampler(vocabularySize: 4) { $0.doSample = doSample }
    try sampler.append(Forbidding([1, 3]))

    let tokens = try sampler.sample([0, 9, 1, 9], times: 200)

    #expect(Set(tokens) == (doSample ? [0, 2] : [2]))
    #expect(try sampler.sampleWithLogprob([-.infinity, 0, 0, -.infinity]) == (2, -0.693_147_2))
  }

  @Test("throws 'no token possible' when everything is forbidden")
  func forbidsAll() throws {
    let sampler = try makeSampler(vocabularySize: 2)
    try sampler.append(Forbidding([0, 1]))

    let error = #expect(throws: XverseError.self) { try sampler.sample([1, 2]) }

    #expect(error?.code == .failed)
  }

  @Test("runs after bias, penalties and a hook that was there, in the order of appending")
  func runsInOrder() throws {
    let sampler = try makeSampler(vocabularySize: 2) {
      $0.logitBias = [(0, 3)]
      $0.repetitionPenalty = 2
      $0.presencePenalty = 0.5
    }
    try sampler.accept(prompt: [0], output: [0])
    let first = Recording()
    let last = Recording()

    try sampler.append(first)
    try sampler.setLogitsHook { logits in
      logits[1] = 7
      return true
    }
    try sampler.append(last)
    _ = try sampler.sample([5, 1])

    #expect(first.seen == [[3.5, 1]])
    #expect(last.seen == [[3.5, 7]])
  }

  @Test("a hook that is set again runs once, and removing it leaves the others")
  func replacesHook() throws {
    let sampler = try makeSampler(vocabularySize: 2)
    let recording = Recording()
    for step: Float in [1, 10] {
      try sampler.setLogitsHook { logits in
        logits[0] += step
        return true
      }
    }
    try sampler.append(recording)

    _ = try sampler.sample([0, 0])
    try sampler.setLogitsHook(nil)
    _ = try sampler.sample([0, 0])

    #expect(recording.seen == [[10, 0], [0, 0]])
  }

  @Test("gets every accepted token, and whether it was generated")
  func getsTokens() throws {
    let sampler = try makeSampler(vocabularySize: 4)
    let recording = Recording()
    try sampler.append(recording)

    try sampler.accept(prompt: [1, 2], output: [3])

    #expect(recording.prompt == [1, 2])
    #expect(recording.output == [3])
  }

  @Test("an error in apply leaves sampler and random numbers as they were")
  func throwsFromApply() throws {
    let sampler = try makeSampler(vocabularySize: 64) { $0.doSample = true }
    let fresh = try sampler.clone()
    let refusing = Refusing(after: 0)
    try sampler.append(refusing)

    #expect(throws: Refusing.error) { try sampler.sample(scatteredLogits(64)) }
    refusing.isOn = false

    #expect(try sampler.sample(scatteredLogits(64), times: 9) == fresh.sample(scatteredLogits(64), times: 9))
  }

  @Test("a token that one processor refuses is accepted by none")
  func acceptsAllOrNothing() throws {
    let sampler = try makeSampler(vocabularySize: 4) {
      $0.repetitionPenalty = 2
      $0.repeatLastN = 2
      $0.presencePenalty = 1
    }
    let before = Recording()
    let after = Recording()
    try sampler.append(before)
    try sampler.append(Refusing(after: 2))
    try sampler.append(after)
    try sampler.accept(prompt: [0], output: [1])

    #expect(throws: Refusing.error) { try sampler.accept(2, isGenerated: true) }
    #expect(throws: Refusing.error) { try sampler.accept(3, isGenerated: false) }

    #expect(before.prompt == [0] && before.output == [1])
    #expect(after.prompt == [0] && after.output == [1])
    _ = try? sampler.sample([8, 8, 8, 8])
    #expect(before.seen == [[4, 3, 8, 8]])
  }

  @Test("clones go their own ways")
  func clonesApart() throws {
    let sampler = try makeSampler(vocabularySize: 4)
    try sampler.append(ForbiddingRepeats())
    try sampler.accept(output: [3])
    let clone = try sampler.clone()

    try sampler.accept(output: [2])
    try clone.accept(output: [1])

    #expect(try sampler.sample([0, 1, 2, 3]) == 1)
    #expect(try clone.sample([0, 1, 2, 3]) == 2)
  }

  @Test("an error while cloning comes out of the sampler's clone")
  func throwsFromClone() throws {
    let sampler = try makeSampler(vocabularySize: 4)
    try sampler.append(Refusing(after: 9))

    #expect(throws: Refusing.error) { try sampler.clone() }
  }

  @Test("is not appended when the copy of the logits finds no memory")
  func appendsAllOrNothing() throws {
    // The first request is the histogram of the candidates.
    let host = CountingHost(failingRequest: 1)
    let sampler = try makeSampler(vocabularySize: 4, allocator: host.allocator)

    let error = #expect(throws: XverseError.self) { try sampler.append(Forbidding([3])) }

    #expect(error?.code == .outOfMemory)
    #expect(try sampler.sample([0, 1, 2, 3]) == 3)
    #expect(host.requestCount == 2)
  }
}

/// Forbids the same tokens always.
private final class Forbidding: LogitsProcessor {
  private let tokens: [Int32]

  init(_ tokens: [Int32]) { self.tokens = tokens }

  func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    for token in tokens { logits[Int(token)] = -.infinity }
  }

  func clone() -> any LogitsProcessor { self }
}

/// Forbids every token that was accepted.
private final class ForbiddingRepeats: LogitsProcessor {
  private var tokens: Set<Int32> = []

  func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    for token in tokens { logits[Int(token)] = -.infinity }
  }

  func accept(_ token: Int32, isGenerated: Bool) { tokens.insert(token) }

  func clone() -> any LogitsProcessor {
    let copy = ForbiddingRepeats()
    copy.tokens = tokens
    return copy
  }
}

/// Changes nothing and keeps what it is given.
private final class Recording: LogitsProcessor {
  private(set) var seen: [[Float]] = []
  private(set) var prompt: [Int32] = []
  private(set) var output: [Int32] = []

  func apply(to logits: UnsafeMutableBufferPointer<Float>) { seen.append(Array(logits)) }

  func accept(_ token: Int32, isGenerated: Bool) {
    if isGenerated { output.append(token) } else { prompt.append(token) }
  }

  func clone() -> any LogitsProcessor { Recording() }
}

/// Throws from everything after a number of tokens.
private final class Refusing: LogitsProcessor {
  static let error = XverseError(.invalid, "the test refuses")

  var isOn = true
  private var tokensLeft: Int

  init(after tokens: Int) { tokensLeft = tokens }

  func apply(to logits: UnsafeMutableBufferPointer<Float>) throws(XverseError) {
    if isOn && tokensLeft == 0 { throw Self.error }
  }

  func prepareToAccept(_ token: Int32, isGenerated: Bool) throws(XverseError) {
    if isOn && tokensLeft == 0 { throw Self.error }
  }

  func accept(_ token: Int32, isGenerated: Bool) { tokensLeft -= 1 }

  func clone() throws(XverseError) -> any LogitsProcessor { throw Self.error }
}
