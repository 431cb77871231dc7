// PerplexityTests.swift -- how a text is cut into windows, and the estimate with its error, computed directly.

import Foundation
import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseLoading

@testable import XverseRuntime

/// Words of the tiny vocabulary, some of them merged.
private let sample = "the man and the on in a hat: 1234567890, the end of the story and then another one, again."

extension TinyHost {
  fileprivate func tokens(of text: String) throws -> [Int32] {
    var tokens = Buffer<Int32>()
    try Array(text.utf8).withUnsafeBytes { try loaded.tokenizer.encode($0, parsingSpecials: false, into: &tokens) }
    return Array(tokens.elements)
  }

  fileprivate func perplexity(
    _ text: String, context: Int? = nil, bos: Bool = false, windows: Int = 0, cancellation: Cancellation? = nil,
    progress: Session.Progress? = nil
  ) throws -> Perplexity {
    var options = PerplexityOptions()
    (options.context, options.beginsWithBOS, options.maximumWindows) = (context, bos, windows)
    return try Array(text.utf8).withUnsafeBytes {
      try loaded.perplexity(of: $0, on: runtime, options: options, cancellation: cancellation, progress: progress)
    }
  }
}

/// exp of the mean surprise of all but the first token of each window, and its error by the delta method.
private func direct(_ windows: [[Int32]], _ model: TinyHost) throws -> (value: Double, standardError: Double) {
  let oracle = try Oracle(model)
  let surprises = try windows.flatMap { window in
    try window.indices.dropFirst().map { -(try oracle.logprob(of: window[$0], after: Array(window.prefix($0)))) }
  }
  let count = Double(surprises.count)
  let mean = surprises.reduce(0, +) / count
  let variance = surprises.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(1, count - 1)
  return (exp(mean), exp(mean) * sqrt(variance / count))
}

/// A surprise passes through float32, off by 2^-20 below 32. So is the mean, and so is the perplexity relatively; the
/// deviations of about 1 are off by twice that, and their square root by as much relatively.
private func expectClose(
  _ found: Perplexity, _ expected: (value: Double, standardError: Double),
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(abs(found.value - expected.value) <= 0x1p-19 * expected.value, sourceLocation: sourceLocation)
  #expect(
    abs(found.standardError - expected.standardError) <= 0x1p-17 * expected.standardError,
    sourceLocation: sourceLocation)
}

@Suite("Perplexity")
struct PerplexityTests {
  @Test("windows do not overlap, and what is left over is left out", arguments: [2, 3, 7, 15])
  func cutsWindows(context: Int) throws {
    let model = try loadTiny()
    let tokens = try model.tokens(of: sample)
    let windows = (0..<tokens.count / context).map { Array(tokens[$0 * context..<($0 + 1) * context]) }

    let found = try model.perplexity(sample, context: context)

    #expect(windows.count > 1)
    expectClose(found, try direct(windows, model))
  }

  @Test("every window begins with BOS when asked, and its first token then counts", arguments: [2, 3, 15])
  func beginsWithBOS(context: Int) throws {
    let model = try loadTiny()
    let tokens = try model.tokens(of: sample)
    let fresh = context - 1
    let windows = (0..<tokens.count / fresh).map { [2] + tokens[$0 * fresh..<($0 + 1) * fresh] }

    let found = try model.perplexity(sample, context: context, bos: true)

    expectClose(found, try direct(windows, model))
  }

  @Test("a text shorter than a window is one window", arguments: ["ab", "the man", "a1"])
  func takesShortTexts(text: String) throws {
    let model = try loadTiny()
    let tokens = try model.tokens(of: text)

    let found = try model.perplexity(text)

    expectClose(found, try direct([tokens], model))
  }

  @Test("one scored token has no error that could be estimated")
  func takesOneToken() throws {
    let model = try loadTiny()

    let pair = try model.perplexity("ab")
    let single = try model.perplexity("a", bos: true)

    #expect(pair.standardError == 0)
    #expect(single.standardError == 0)
    expectClose(single, try direct([[2] + model.tokens(of: "a")], model))
  }

  @Test("a text that fills its windows exactly leaves nothing out")
  func takesFullWindows() throws {
    let model = try loadTiny()
    let tokens = try model.tokens(of: "abcdefghijkl")
    #expect(tokens.count == 12)

    let found = try model.perplexity("abcdefghijkl", context: 6)

    expectClose(found, try direct([Array(tokens.prefix(6)), Array(tokens.suffix(6))], model))
  }

  @Test("no more windows than asked for")
  func limitsWindows() throws {
    let model = try loadTiny()
    let tokens = try model.tokens(of: sample)

    let found = try model.perplexity(sample, context: 5, windows: 2)

    expectClose(found, try direct([Array(tokens[0..<5]), Array(tokens[5..<10])], model))
  }

  @Test("special tokens in the text stay text")
  func keepsSpecialsAsText() throws {
    let model = try loadTiny()
    let tokens = try model.tokens(of: "<|endoftext|>")
    #expect(tokens.count > 2)

    expectClose(try model.perplexity("<|endoftext|>"), try direct([tokens], model))
  }

  @Test("refuses a text of fewer than two tokens", arguments: ["", "a"])
  func refusesShortText(text: String) throws {
    let model = try loadTiny()

    let error = #expect(throws: XverseError.self) { try model.perplexity(text) }

    #expect(error?.code == .range)
    #expect(error?.message == "the text has \(text.utf8.count) tokens, expected at least 2")
  }

  @Test("with BOS one token is enough, and none is not")
  func refusesEmptyText() throws {
    let model = try loadTiny()

    let error = #expect(throws: XverseError.self) { try model.perplexity("", bos: true) }

    #expect(error?.code == .range)
    #expect(error?.message == "the text has 0 tokens, expected at least 1")
  }

  @Test("refuses a window of fewer than two tokens", arguments: [1, 0, -5])
  func refusesSmallContext(context: Int) throws {
    let model = try loadTiny()

    let error = #expect(throws: XverseError.self) { try model.perplexity(sample, context: context) }

    #expect(error?.code == .range)
  }

  @Test("refuses BOS where the model has none")
  func needsBOS() throws {
    let model = try loadTiny { $0.extraConfiguration = ["bos_token_id": NSNull()] }

    let error = #expect(throws: XverseError.self) { try model.perplexity(sample, bos: true) }

    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("bos_token_id") == true)
  }

  @Test("tells progress after every window up to the number of tokens scored", arguments: [5, 256])
  func tellsProgress(context: Int) throws {
    let model = try loadTiny()
    let count = try model.tokens(of: sample).count
    let total = context > count ? count : count / context * context
    var steps: [Int] = []

    _ = try model.perplexity(sample, context: context) { (done, whole) throws(XverseError) in
      steps.append(done)
      if whole != total { throw XverseError(.internal, "total \(whole)") }
    }

    #expect(steps == (context > count ? [count] : Array(stride(from: 5, through: total, by: 5))))
  }

  @Test("ends by a flag, and by what progress throws")
  func ends() throws {
    let model = try loadTiny()
    let cancellation = Cancellation()

    let stopped = #expect(throws: XverseError.self) {
      try model.perplexity(sample) { (_, _) throws(XverseError) in throw XverseError(.stopped, "enough") }
    }
    let cancelled = #expect(throws: XverseError.self) {
      try model.perplexity(sample, context: 5, cancellation: cancellation) { (_, _) throws(XverseError) in
        cancellation.trigger()
      }
    }

    #expect(stopped?.message == "enough")
    #expect(cancelled?.code == .cancelled)
  }

  @Test("needs a model with weights")
  func needsWeights() throws {
    var options = ModelOptions()
    options.vocabularyOnly = true
    let model = try loadTiny(options: options)

    let error = #expect(throws: XverseError.self) { try model.perplexity(sample) }

    #expect(error?.code == .misuse)
  }
}
