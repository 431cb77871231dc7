// TinyRuntime.swift -- a tiny model with the runtime that loaded it.

import ModelTestSupport
import TestSupport
import XverseCore
import XverseLoading
import XverseModels
import XverseTensors

@testable import XverseRuntime

/// A loaded model and its runtime; members of the model are its own.
@dynamicMemberLookup
struct TinyHost {
  let loaded: LoadedModel
  let runtime: Runtime

  subscript<Member>(dynamicMember path: KeyPath<LoadedModel, Member>) -> Member { loaded[keyPath: path] }
}

/// Loads a `TinyCheckpoint` from a directory that is gone afterwards.
func loadTiny(
  options: ModelOptions = ModelOptions(), runtime: Runtime? = nil, _ change: (inout TinyCheckpoint) -> Void = { _ in }
) throws -> TinyHost {
  let runtime = try runtime ?? Runtime(threadCount: 1)
  return TinyHost(loaded: try loadTiny(options: options, runtime.context(), change), runtime: runtime)
}

extension Oracle {
  convenience init(_ host: TinyHost) throws { try self.init(host.loaded) }
}

extension GenerationRequest {
  convenience init(_ host: TinyHost) { self.init(host.loaded, allocator: host.runtime.allocator) }
}

extension Session {
  convenience init(
    _ host: TinyHost, context: Int? = nil, cacheElement: KVElement = .float32, overflow: Overflow = .error
  ) throws {
    try self.init(host.loaded, host.runtime, context: context, cacheElement: cacheElement, overflow: overflow)
  }

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

  func generated(_ prompt: [Int32], _ options: GenerationOptions) throws -> [Int32] {
    let result = try generate(prompt, options)
    return withExtendedLifetime(result) { Array(result.tokens.elements) }
  }

  /// What the session was made from.
  var host: TinyHost { TinyHost(loaded: model, runtime: runtime) }

  var heldTokens: [Int32] { Array(tokens) }
  var heldLogits: [Float]? { logits.map { Array($0) } }
}

func greedyOptions(
  _ maximumNewTokens: Int? = nil, _ change: (inout GenerationOptions) -> Void = { _ in }
) -> GenerationOptions {
  var options = GenerationOptions()
  options.maximumNewTokens = maximumNewTokens
  change(&options)
  return options
}
