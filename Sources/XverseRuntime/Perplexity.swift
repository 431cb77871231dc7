// Perplexity.swift -- how well a model predicts a text.

import Glibc
import XverseCore
import XverseLoading
import XverseTensors

/// How to cut a text into windows.
package struct PerplexityOptions: Sendable {
  /// Tokens in a window; nil for the model's context, at most 2048.
  package var context: Int?
  /// Whether every window begins with the BOS token.
  package var beginsWithBOS = false
  /// Most windows; 0 for all.
  package var maximumWindows = 0

  package init() {}
}

/// Perplexity with the standard error of its estimate.
package struct Perplexity: Sendable {
  package let value: Double
  package let standardError: Double
}

extension LoadedModel {
  /// Scores `text` in non-overlapping windows: the first token of a window is not scored, a last window that is not full
  /// is left out unless it is the only one.
  ///
  /// - Throws: `range` for a text with fewer than two tokens and for a window of fewer than two; `unsupported` when a
  ///   BOS token is asked for and the model has none; `cancelled`, `deadline`, what `progress` throws.
  package func perplexity(
    of text: UnsafeRawBufferPointer, on runtime: Runtime, options: PerplexityOptions, cancellation: Cancellation?,
    progress: Session.Progress?
  ) throws(XverseError) -> Perplexity {
    let context = options.context ?? min(configuration.maximumPositions, 2048)
    guard context >= 2 else { throw .range("context is \(context), expected at least 2 tokens") }
    let prefix: [Int32] = options.beginsWithBOS ? [try requiredBOS()] : []
    var tokens = Buffer<Int32>(allocator: runtime.allocator)
    try tokenizer.encode(text, parsingSpecials: false, into: &tokens)
    guard prefix.count + tokens.count >= 2 else {
      throw .range("the text has \(tokens.count) tokens, expected at least \(2 - prefix.count)")
    }
    let session = try Session(self, runtime, context: context)
    let fresh = context - prefix.count
    var windows = max(1, tokens.count / fresh)
    if options.maximumWindows > 0 { windows = min(windows, options.maximumWindows) }
    var statistics = LikelihoodStatistics()
    for window in 0..<windows {
      let range = window * fresh..<min(tokens.count, (window + 1) * fresh)
      try session.score(
        prefix, UnsafeBufferPointer(rebasing: tokens.elements[range]), cancellation: cancellation, into: &statistics)
      try progress?(range.upperBound, min(tokens.count, windows * fresh))
    }
    return statistics.perplexity
  }

  private func requiredBOS() throws(XverseError) -> Int32 {
    guard let bos = specialTokens.bos else {
      throw .unsupported("option 'bos' is 1, but config.json of '\(name)' has no 'bos_token_id'")
    }
    return bos
  }
}

extension Session {
  /// Scores one window from an empty session.
  fileprivate func score(
    _ prefix: [Int32], _ tokens: UnsafeBufferPointer<Int32>, cancellation: Cancellation?,
    into statistics: inout LikelihoodStatistics
  ) throws(XverseError) {
    let allocator = runtime.allocator
    var window = Buffer<Int32>(allocator: allocator)
    for token in prefix { try window.append(token) }
    try window.append(contentsOf: tokens)
    let logprobs = try Buffer<Float>(repeating: 0, count: window.count, allocator: allocator)
    guard let base = logprobs.mutableElements.baseAddress else { return }
    truncate(to: 0)
    try score(window.elements, into: base, cancellation: cancellation)
    for logprob in logprobs.elements.dropFirst() { statistics.add(-Double(logprob)) }
  }
}

/// Mean and variance of negative log-likelihoods (Welford 1962).
private struct LikelihoodStatistics {
  private var count = 0.0
  private var mean = 0.0
  private var squares = 0.0

  mutating func add(_ value: Double) {
    count += 1
    let delta = value - mean
    mean += delta / count
    squares += delta * (value - mean)
  }

  /// The delta method: the error of exp(mean) is exp(mean) times that of the mean.
  var perplexity: Perplexity {
    let value = exp(mean)
    let variance = count > 1 ? squares / (count - 1) : 0
    return Perplexity(value: value, standardError: value * (variance / max(1, count)).squareRoot())
  }
}
