// TinyModel.swift -- a tiny model loaded with its tokenizer and defaults, and a naive oracle for what it computes.

import Glibc
import TestSupport
import XverseCore
import XverseFormats
import XverseLoading
import XverseModels
import XverseTensors

/// What loading needs, on the calling thread.
package func idleContext(
  allocator: MemoryAllocator = MemoryAllocator(), log: Log = Log(),
  report: @escaping ComputeContext.Report = { (_, _, _) throws(XverseError) in }
) throws -> ComputeContext {
  ComputeContext(kernels: try Kernels(threadCount: 1), allocator: allocator, log: log, report: report)
}

/// Loads a `TinyCheckpoint` from a directory that is gone afterwards.
package func loadTiny(
  options: ModelOptions = ModelOptions(), _ context: ComputeContext, _ change: (inout TinyCheckpoint) -> Void = { _ in }
) throws -> LoadedModel {
  let directory = try writeTiny(change)
  return try withExtendedLifetime(directory) {
    try LoadedModel(.path(FilePath(directory.path)), options: options, context)
  }
}

/// The directory of a `TinyCheckpoint` with grouped heads.
package func writeTiny(_ change: (inout TinyCheckpoint) -> Void = { _ in }) throws -> TemporaryDirectory {
  var checkpoint = TinyCheckpoint()
  checkpoint.kvHeadCount = 2
  change(&checkpoint)
  let directory = try TemporaryDirectory()
  try checkpoint.write(to: directory)
  return directory
}

/// Logits by the model itself, one token at a time from an empty cache.
///
/// Passes of fewer than 16 tokens give the same bits, so tests with short passes may ask for equality.
package final class Oracle {
  private let model: XverseModel
  private let kernels: Kernels
  private let arena = ScratchArena(allocator: .system)
  private var known: [[Int32]: [Float]] = [:]

  package init(_ loaded: LoadedModel) throws {
    guard let model = loaded.model else { throw XverseError.misuse("the model has no weights") }
    self.model = model
    kernels = try Kernels(threadCount: 1)
  }

  /// The logits after the last of `tokens`.
  package func logits(after tokens: [Int32]) throws -> [Float] {
    if let logits = known[tokens] { return logits }
    let cache = try KVCache(
      KVLayout(model.configuration, .float32), capacity: tokens.count, source: MemoryAllocator.system,
      allocator: .system)
    var logits: [Float] = []
    for (index, token) in tokens.enumerated() {
      let states = try [token].withUnsafeBufferPointer { token in
        var batch = TokenBatch()
        batch.append(token, to: cache)
        return try model.forward(batch, kernels: kernels, arena: arena, cancellation: nil)
      }
      guard index == tokens.count - 1 else { continue }
      let row = try arena.matrix(rows: 1, columns: model.configuration.vocabularySize)
      try model.logits(into: row, of: states, kernels: kernels, arena: arena, cancellation: nil)
      logits = Array(UnsafeBufferPointer(start: row.data, count: row.columns))
    }
    known[tokens] = logits
    return logits
  }

  /// ln p of `token` after `tokens`; 0 after none.
  package func logprob(of token: Int32, after tokens: [Int32]) throws -> Double {
    guard !tokens.isEmpty else { return 0 }
    let logits = try logits(after: tokens).map { Double($0) }
    let largest = logits.max() ?? 0
    return logits[Int(token)] - largest - log(logits.reduce(0) { $0 + exp($1 - largest) })
  }

  /// The most probable token, the lowest id among equals.
  package func best(after tokens: [Int32]) throws -> Int32 {
    let logits = try logits(after: tokens)
    var best = 0
    for index in logits.indices where logits[index] > logits[best] { best = index }
    return Int32(best)
  }

  /// `count` tokens, each the best after those before.
  package func continuation(of prompt: [Int32], count: Int) throws -> [Int32] {
    var tokens = prompt
    for _ in 0..<count { tokens.append(try best(after: tokens)) }
    return Array(tokens[prompt.count...])
  }
}

/// `count` ids of the tiny vocabulary, none of them special.
package func randomTokens(_ count: Int, using random: inout SeededRandom) -> [Int32] {
  let vocabularySize = Int32(TinyCheckpoint.vocabulary.pieces.count)
  return (0..<count).map { _ in Int32.random(in: 6..<vocabularySize, using: &random) }
}

package func randomTokens(_ count: Int, seed: UInt64) -> [Int32] {
  var random = SeededRandom(seed: seed)
  return randomTokens(count, using: &random)
}
