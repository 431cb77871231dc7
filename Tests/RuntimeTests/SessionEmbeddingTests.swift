// SessionEmbeddingTests.swift -- embeddings are the final hidden states that the formulas give, pooled.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

extension Session {
  fileprivate func embed(_ tokens: [Int32], _ pooling: Pooling, isNormalized: Bool = false) throws -> [Float] {
    var vector = [Float](repeating: .nan, count: model.configuration.hiddenSize)
    try tokens.withUnsafeBufferPointer { try embed($0, pooling, isNormalized: isNormalized, into: &vector) }
    return vector
  }
}

@Suite("Session.embed")
struct SessionEmbeddingTests {
  private static var checkpoint: TinyCheckpoint {
    var checkpoint = TinyCheckpoint()
    checkpoint.kvHeadCount = 2
    return checkpoint
  }

  /// Exact states, and what a float32 evaluation may differ from them: as `ReferenceLogits` derives it.
  private func reference(_ tokens: [Int32]) -> (states: [[Double]], tolerance: Double) {
    let reference = ReferenceForward(Self.checkpoint)
    var single = reference
    single.roundsToSingle = true
    let states = reference.states(of: tokens)
    return (states, 8 * largestDifference(states, single.states(of: tokens)))
  }

  @Test("the last state is the last token's", arguments: [1, 2, 40])
  func takesLast(count: Int) throws {
    let tokens = randomTokens(count, seed: 1)
    let (states, tolerance) = reference(tokens)
    let session = try Session(try loadTiny())

    let vector = try session.embed(tokens, .last)

    #expect(largestDifference([vector.map { Double($0) }], [states[count - 1]]) <= tolerance)
    #expect(session.heldTokens == tokens)
  }

  @Test("the mean is that of the given tokens, not of those before", arguments: [0, 7])
  func takesMean(before: Int) throws {
    let tokens = randomTokens(30 + before, seed: 2)
    let (states, tolerance) = reference(tokens)
    let session = try Session(try loadTiny())
    try session.evaluate(Array(tokens.prefix(before)))

    let vector = try session.embed(Array(tokens[before...]), .mean)

    let mean = (0..<vector.count).map { column in states[before...].reduce(0) { $0 + $1[column] } / 30 }
    // A mean is off by no more than its terms, and by half an ulp of its own.
    let largest = mean.reduce(0) { max($0, abs($1)) }
    #expect(largestDifference([vector.map { Double($0) }], [mean]) <= tolerance + largest * 0x1p-24)
  }

  @Test("a normalized vector has the same direction and length 1", arguments: [Session.Pooling.last, .mean])
  func normalizes(pooling: Session.Pooling) throws {
    let host = try loadTiny()
    let tokens = randomTokens(20, seed: 3)
    let plain = try Session(host).embed(tokens, pooling).map { Double($0) }

    let vector = try Session(host).embed(tokens, pooling, isNormalized: true).map { Double($0) }

    let length = plain.reduce(0) { $0 + $1 * $1 }.squareRoot()
    // Both are rounded to float32; the length of the plain one is off by as much as its elements at most.
    #expect(largestDifference([vector], [plain.map { $0 / length }]) <= 0x1p-22)
    let square = vector.reduce(0) { $0 + $1 * $1 }
    #expect(abs(square - 1) <= 0x1p-22)
  }

  @Test("has the same bits however many passes it takes, and leaves the logits that evaluating leaves")
  func sameBits() throws {
    let host = try loadTiny { $0.maximumPositions = 2048 }
    let tokens = randomTokens(1100, seed: 4)
    let evaluated = try Session(host)
    try evaluated.evaluate(tokens)
    for pooling in [Session.Pooling.last, .mean] {
      let whole = try Session(host)
      let vector = try whole.embed(tokens, pooling)
      #expect(whole.heldLogits == evaluated.heldLogits)

      let behind = try Session(host)
      try behind.evaluate(Array(tokens.prefix(pooling == .last ? 700 : 0)))
      let again = try behind.embed(Array(tokens[behind.length...]), pooling)
      #expect(again == vector)
    }
  }

  @Test("what another session computed is used for the last state, and evaluated again for the mean")
  func usesPrefixes() throws {
    let host = try loadTiny { $0.maximumPositions = 1024 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let tokens = randomTokens(300, seed: 5)
    let alone = try Session(host)
    let expected = [try alone.embed(tokens, .last), try Session(host).embed(tokens, .mean)]
    for (index, pooling) in [Session.Pooling.last, .mean].enumerated() {
      for _ in 0..<2 {
        let session = try Session(host.loaded, host.runtime, prefixes: prefixes)
        let vector = try session.embed(tokens, pooling)
        #expect(vector == expected[index])
        #expect(session.heldLogits == alone.heldLogits)
      }
    }
  }

  @Test("what cannot be evaluated leaves the session as before")
  func refuses() throws {
    let session = try Session(try loadTiny(), context: 20, overflow: .shift)
    try session.evaluate([10, 11, 12])
    let logits = session.heldLogits
    for (tokens, code) in [
      ([10, -1], .range), ([10, 5000], .range), ([Int32](repeating: 9, count: 18), .contextFull),
    ] as [([Int32], XverseError.Code)] {
      let error = #expect(throws: XverseError.self) { _ = try session.embed(tokens, .mean) }
      #expect(error?.code == code)
      #expect(session.heldTokens == [10, 11, 12])
      #expect(session.heldLogits == logits)
    }
  }
}
