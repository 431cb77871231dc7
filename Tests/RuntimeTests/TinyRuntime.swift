// TinyRuntime.swift -- a tiny model loaded with everything around it, and a naive oracle for what it computes.

import Glibc
import TestSupport
import XverseCore
import XverseModels
import XverseTensors

@testable import XverseRuntime

/// Loads a `TinyCheckpoint` from a directory that is gone afterwards.
func loadTiny(
  options: ModelOptions = ModelOptions(), runtime: Runtime? = nil, _ change: (inout TinyCheckpoint) -> Void = { _ in }
) throws -> LoadedModel {
  let directory = try writeTiny(change)
  return try LoadedModel(.path(directory.path), options: options, runtime: runtime ?? Runtime(threadCount: 1)) {
    (_, _, _) throws(XverseError) in
  }
}

/// The directory of a `TinyCheckpoint` with grouped heads.
func writeTiny(_ change: (inout TinyCheckpoint) -> Void = { _ in }) throws -> TemporaryDirectory {
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
final class Oracle {
  private let network: XverseModel
  private let kernels: Kernels
  private let arena = ScratchArena(allocator: .system)
  private var known: [[Int32]: [Float]] = [:]

  init(_ model: LoadedModel) throws {
    guard let network = model.network else { throw XverseError.misuse("the model has no weights") }
    self.network = network
    kernels = model.runtime.kernels.serial
  }

  /// The logits after the last of `tokens`.
  func logits(after tokens: [Int32]) throws -> [Float] {
    if let logits = known[tokens] { return logits }
    let cache = try KVCache(network.configuration, element: .float32, capacity: tokens.count, allocator: .system)
    var logits: [Float] = []
    for (index, token) in tokens.enumerated() {
      let states = try [token].withUnsafeBufferPointer { token in
        try network.forward(
          token, cache: cache, sequenceLength: index + 1, kernels: kernels, arena: arena, cancellation: nil)
      }
      guard index == tokens.count - 1 else { continue }
      let row = try arena.matrix(rows: 1, columns: network.configuration.vocabularySize)
      try network.logits(into: row, of: states, kernels: kernels, arena: arena, cancellation: nil)
      logits = Array(UnsafeBufferPointer(start: row.data, count: row.columns))
    }
    known[tokens] = logits
    return logits
  }

  /// ln p of `token` after `tokens`; 0 after none.
  func logprob(of token: Int32, after tokens: [Int32]) throws -> Double {
    guard !tokens.isEmpty else { return 0 }
    let logits = try logits(after: tokens).map { Double($0) }
    let largest = logits.max() ?? 0
    return logits[Int(token)] - largest - log(logits.reduce(0) { $0 + exp($1 - largest) })
  }

  /// The most probable token, the lowest id among equals.
  func best(after tokens: [Int32]) throws -> Int32 {
    let logits = try logits(after: tokens)
    var best = 0
    for index in logits.indices where logits[index] > logits[best] { best = index }
    return Int32(best)
  }

  /// `count` tokens, each the best after those before.
  func continuation(of prompt: [Int32], count: Int) throws -> [Int32] {
    var tokens = prompt
    for _ in 0..<count { tokens.append(try best(after: tokens)) }
    return Array(tokens[prompt.count...])
  }
}

extension Session {
  func evaluate(_ tokens: [Int32], cancellation: Cancellation? = nil, progress: Progress? = nil) throws {
    try tokens.withUnsafeBufferPointer { try evaluate($0, cancellation: cancellation, progress: progress) }
  }

  func score(_ tokens: [Int32], cancellation: Cancellation? = nil, progress: Progress? = nil) throws -> [Float] {
    var logprobs = [Float](repeating: .nan, count: max(1, tokens.count))
    try tokens.withUnsafeBufferPointer { tokens in
      try score(tokens, into: &logprobs, cancellation: cancellation, progress: progress)
    }
    return Array(logprobs.prefix(tokens.count))
  }

  func generate(
    _ prompt: [Int32], _ options: GenerationOptions, cancellation: Cancellation? = nil, onEvent: EventHandler? = nil
  ) throws -> GenerationResult {
    try prompt.withUnsafeBufferPointer {
      try generate($0, options, cancellation: cancellation, onEvent: onEvent)
    }
  }

  var heldTokens: [Int32] { Array(tokens) }
  var heldLogits: [Float]? { logits.map { Array($0) } }
}

/// `count` ids of the tiny vocabulary, none of them special.
func randomTokens(_ count: Int, using random: inout SeededRandom) -> [Int32] {
  let vocabularySize = Int32(TinyCheckpoint.vocabulary.pieces.count)
  return (0..<count).map { _ in Int32.random(in: 6..<vocabularySize, using: &random) }
}

func randomTokens(_ count: Int, seed: UInt64) -> [Int32] {
  var random = SeededRandom(seed: seed)
  return randomTokens(count, using: &random)
}

func greedyOptions(
  _ maximumNewTokens: Int? = nil, _ change: (inout GenerationOptions) -> Void = { _ in }
) -> GenerationOptions {
  var options = GenerationOptions()
  options.maximumNewTokens = maximumNewTokens
  change(&options)
  return options
}
