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

  /// Appends some tokens to each sequence in one pass and returns the logits after the last of each.
  private static func evaluate(
    _ tokens: [[Int32]], _ sequences: [TinySequence], cancellation: Cancellation? = nil
  ) throws -> [[Float]] {
    let first = sequences[0]
    let width = first.model.configuration.vocabularySize
    let flat = Array(tokens.joined())
    let states = try flat.withUnsafeBufferPointer { flat in
      var batch = TokenBatch()
      var start = 0
      for (tokens, sequence) in zip(tokens, sequences) {
        batch.append(UnsafeBufferPointer(rebasing: flat[start..<start + tokens.count]), to: sequence.cache)
        start += tokens.count
      }
      return try first.model.forward(
        batch, kernels: first.kernels, arena: first.arena, cancellation: cancellation)
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
      let logits = try Self.evaluate(tokens.map { [$0] }, together)

      let isSame = sameBits(logits, expected)
      #expect(isSame, "step \(step)")
    }
    #expect(together.map(\.cache.length) == alone.map(\.cache.length))
  }

  @Test(
    "prompts and single tokens in one pass get the bits they get alone", arguments: availableSets,
    KVElement.allCases)
  func mixesPromptsAndTokens(set: Kernels.InstructionSet, element: KVElement) throws {
    let tiny = try TinyModel(tinyCheckpoint { $0.kvHeadCount = 2 })
    let counts = [1, 100, 3, 40]
    func sequences() throws -> [TinySequence] {
      try Self.prompts(seed: 3).map { prompt in
        let sequence = try TinySequence(tiny.model, set: set, element: element)
        try sequence.evaluate(prompt)
        return sequence
      }
    }
    let tokens = counts.enumerated().map { randomTokens($0.element, seed: 30 + UInt64($0.offset)) }
    let expected = try zip(try sequences(), tokens).map { try #require(try $0.evaluate($1).last) }

    let logits = try Self.evaluate(tokens, sequences())

    let isSame = sameBits(logits, expected)
    #expect(isSame)
  }

  @Test(
    "a long prompt has the same bits at once, in chunks and beside others", arguments: availableSets,
    [TinyCheckpoint.DType.float32, .float16, .bfloat16])
  func cutsPrompts(set: Kernels.InstructionSet, dtype: TinyCheckpoint.DType) throws {
    let tiny = try TinyModel(tinyCheckpoint { ($0.dtype, $0.maximumPositions) = (dtype, 512) })
    let prompt = randomTokens(400, seed: 50)
    let alone = Array(try TinySequence(tiny.model, set: set).evaluate(prompt).suffix(1))
    for chunk in [1, 7, 47, 48, 64, 200] {
      let logits = try TinySequence(tiny.model, set: set, threadCount: 2).evaluate(prompt, inChunksOf: chunk)

      let isSame = sameBits(Array(logits.suffix(1)), alone)
      #expect(isSame, "chunks of \(chunk)")
    }
    for threadCount in [3, 8] {
      let sequences = try (0..<3).map { _ in try TinySequence(tiny.model, set: set, threadCount: threadCount) }

      let logits = try Self.evaluate([randomTokens(60, seed: 51), prompt, [5]], sequences)

      let isSame = sameBits([logits[1]], alone)
      #expect(isSame, "\(threadCount) threads")
    }
  }

  @Test("returns the states that are wanted, in the order of the segments")
  func choosesOutputs() throws {
    let tiny = try TinyModel(tinyCheckpoint())
    let tokens = randomTokens(12, seed: 4)
    let (whole, parts) = (try TinySequence(tiny.model), try TinySequence(tiny.model))
    let other = try TinySequence(tiny.model)
    func states(_ batch: TokenBatch, _ sequence: TinySequence) throws -> [[Float]] {
      let states = try tiny.model.forward(
        batch, kernels: sequence.kernels, arena: sequence.arena, cancellation: nil)
      return (0..<states.rows).map { row in
        Array(UnsafeBufferPointer(start: states.rows(row..<row + 1).data, count: states.columns))
      }
    }
    try tokens.withUnsafeBufferPointer { tokens in
      var all = TokenBatch()
      all.append(tokens, to: whole.cache, outputs: 0..<12)
      let expected = try states(all, whole)
      var some = TokenBatch()
      some.append(tokens, to: parts.cache, outputs: 3..<5)
      some.append(tokens, to: other.cache, outputs: 12..<12)

      #expect(try sameBits(states(some, parts), Array(expected[3..<5])))
      #expect(parts.cache.length == 12 && other.cache.length == 12)
      #expect((some.tokenCount, some.outputCount) == (24, 2))
    }
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
      try Self.evaluate([[1], [2], [3, 3], [4]], sequences, cancellation: cancellation)
    }

    #expect(sequences.map(\.cache.length) == Self.lengths)
  }
}
