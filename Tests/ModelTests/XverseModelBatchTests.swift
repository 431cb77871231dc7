// XverseModelBatchTests.swift -- decoding for several sequences in one pass: each gets what it would get alone.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseModels

@Suite("XverseModel batch")
struct XverseModelBatchTests {
  /// Sequences of different lengths, two of them across a block of the cache.
  private static let lengths = [1, 70, 5, 63]

  private static func prompts(seed: UInt64) -> [[Int32]] {
    lengths.enumerated().map { randomTokens($0.element, seed: seed + UInt64($0.offset)) }
  }

  private static func evaluate(
    _ tokens: [Int32], _ sequences: [TinySequence], cancellation: Cancellation? = nil
  ) throws -> [[Float]] {
    let first = sequences[0]
    let width = first.model.configuration.vocabularySize
    let states = try tokens.withUnsafeBufferPointer {
      try first.model.forward(
        $0, caches: sequences.map(\.cache), kernels: first.kernels, arena: first.arena, cancellation: cancellation)
    }
    let logits = try first.arena.matrix(rows: states.rows, columns: width)
    try first.model.logits(into: logits, of: states, kernels: first.kernels, arena: first.arena, cancellation: nil)
    return (0..<tokens.count).map { Array(UnsafeBufferPointer(start: logits.data + $0 * width, count: width)) }
  }

  @Test("gives each sequence the bits it gets alone", arguments: availableSets, [1, 2])
  func givesSameBits(set: Kernels.InstructionSet, threadCount: Int) throws {
    let tiny = try TinyModel(tinyCheckpoint { $0.kvHeadCount = 2 })
    let prompts = Self.prompts(seed: 1)
    func sequences() throws -> [TinySequence] {
      try prompts.map { prompt in
        let sequence = try TinySequence(tiny.model, set: set, threadCount: threadCount)
        try sequence.evaluate(prompt)
        return sequence
      }
    }
    let (alone, together) = (try sequences(), try sequences())

    for step in 0..<3 {
      let tokens = randomTokens(prompts.count, seed: 10 + UInt64(step))
      let expected = try zip(alone, tokens).map { try $0.evaluate([$1])[0] }
      let logits = try Self.evaluate(tokens, together)

      let isSame = sameBits(logits, expected)
      #expect(isSame, "step \(step)")
    }
    #expect(together.map(\.cache.length) == alone.map(\.cache.length))
  }

  @Test("leaves every sequence as it was when it is cancelled")
  func cancels() throws {
    let tiny = try TinyModel(tinyCheckpoint())
    let sequences = try Self.prompts(seed: 2).map { prompt in
      let sequence = try TinySequence(tiny.model)
      try sequence.evaluate(prompt)
      return sequence
    }
    let cancellation = Cancellation()
    cancellation.trigger()

    #expect(throws: XverseError.self) {
      try Self.evaluate([1, 2, 3, 4], sequences, cancellation: cancellation)
    }

    #expect(sequences.map(\.cache.length) == Self.lengths)
  }
}
