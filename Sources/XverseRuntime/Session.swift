// Session.swift -- one sequence of tokens and what the model remembers of it.

import XverseCore
import XverseLoading
import XverseModels
import XverseTensors

/// Figures of the last evaluation or generation, as in `xverse_stats`; times in nanoseconds.
package struct SessionStatistics: Sendable {
  package var finishReason = FinishReason.none
  package var promptTokens = 0
  package var cachedTokens = 0
  package var generatedTokens = 0
  package var queueTime: Int64 = 0
  package var prefillTime: Int64 = 0
  package var decodeTime: Int64 = 0
  package var firstTokenTime: Int64 = 0
  /// Tokens that were guessed and evaluated, and those of them that were then chosen.
  package var draftTokens = 0
  package var acceptedDraftTokens = 0

  package init() {}
}

/// A sequence with its KV cache and the logits after its last token.
///
/// Threads: one owner at a time.
package final class Session {
  package enum Overflow: String, CaseIterable, Sendable {
    case error
    case shift
  }

  /// Called after each chunk with tokens done of total; throws to end the evaluation there.
  package typealias Progress = (_ done: Int, _ total: Int) throws(XverseError) -> Void

  package let model: LoadedModel
  package let runtime: Runtime
  /// Most tokens.
  package let context: Int
  package var statistics = SessionStatistics()

  let overflow: Overflow
  let sequence: TokenSequence
  /// `[vocabularySize]`
  let logitsMemory: UnsafeMutableBufferPointer<Float>
  var hasLogits = false
  /// Of the last evaluation, tokens that another sequence had computed.
  package internal(set) var adoptedTokens = 0
  /// Longest note, in bytes: a file's is held before its checksum can be known.
  package static let maximumNoteLength = 64 << 20
  /// Bytes of the program's own that go with the session into its file.
  package var note: Buffer<UInt8>
  let evaluation: SessionEvaluation
  let speculation = SessionSpeculation()

  /// - Parameters:
  ///   - context: Most tokens; nil for the model's own.
  ///   - prefixes: Of this model and runtime: what other sequences computed; nil: nothing is shared.
  /// - Throws: `misuse` when the model has no weights; `outOfMemory`.
  package convenience init(
    _ model: LoadedModel, _ runtime: Runtime, context: Int? = nil, cacheElement: KVElement = .float32,
    overflow: Overflow = .error, prefixes: PrefixCache? = nil
  ) throws(XverseError) {
    let sequence = try TokenSequence(
      KVLayout(model.configuration, cacheElement), context: context ?? model.configuration.maximumPositions,
      source: runtime.kvBlocks, allocator: runtime.allocator, prefixes: prefixes)
    try self.init(model, runtime, sequence, overflow)
  }

  private init(
    _ model: LoadedModel, _ runtime: Runtime, _ sequence: TokenSequence, _ overflow: Overflow
  ) throws(XverseError) {
    guard let weights = model.model else {
      throw .misuse("model '\(model.name)' was loaded with vocab_only, expected one with weights")
    }
    let allocator = runtime.allocator
    let vocabularySize = model.configuration.vocabularySize
    let memory = try allocator.allocate(vocabularySize * MemoryLayout<Float>.stride)
    logitsMemory = UnsafeMutableBufferPointer(
      start: memory.bindMemory(to: Float.self, capacity: vocabularySize), count: vocabularySize)
    evaluation = SessionEvaluation(model: weights, cache: sequence.cache, runtime: runtime, logits: logitsMemory)
    note = Buffer(allocator: allocator)
    self.sequence = sequence
    self.model = model
    self.runtime = runtime
    context = sequence.cache.capacity
    self.overflow = overflow
  }

  deinit {
    if let base = logitsMemory.baseAddress {
      runtime.allocator.deallocate(base, bytes: logitsMemory.count * MemoryLayout<Float>.stride)
    }
  }

  /// The tokens evaluated so far; valid until the next change.
  package var tokens: UnsafeBufferPointer<Int32> { sequence.tokens }
  package var length: Int { sequence.length }
  package var cacheBytes: Int { sequence.cache.byteCount }

  /// Whether another token can be evaluated.
  package var hasRoom: Bool { overflow == .shift || length < context }

  /// The logits after the last token, `[vocabularySize]`; nil before the first evaluation and after `truncate`.
  package var logits: UnsafeBufferPointer<Float>? { hasLogits ? UnsafeBufferPointer(logitsMemory) : nil }

  /// A session with the same tokens, logits and note, which goes its own way from here; both hold the same blocks until one
  /// grows.
  ///
  /// - Throws: `outOfMemory`.
  package func fork() throws(XverseError) -> Session {
    let copy = try Session(model, runtime, try sequence.fork(), overflow)
    if let logits, let base = copy.logitsMemory.baseAddress, let source = logits.baseAddress {
      base.update(from: source, count: logits.count)
      copy.hasLogits = true
    }
    try copy.note.append(contentsOf: note.elements)
    copy.statistics = statistics
    return copy
  }

  /// Forgets all but the first `count` tokens; `count` is at most `length`.
  package func truncate(to count: Int) {
    guard count < length else { return }
    sequence.truncate(to: count)
    hasLogits = false
  }

  /// Appends tokens, leaving the logits after the last of them.
  ///
  /// - Throws: `range`, `contextFull`, `outOfMemory`: the session is as before. `cancelled`, `deadline`, and what
  ///   `progress` throws: the session holds the chunks evaluated until then. While a shifted sequence is evaluated anew,
  ///   `outOfMemory` for work memory leaves the session empty.
  package func evaluate(
    _ tokens: UnsafeBufferPointer<Int32>, cancellation: Cancellation? = nil, progress: Progress? = nil
  ) throws(XverseError) {
    try checkIDs(tokens)
    adoptedTokens = 0
    guard !tokens.isEmpty else { return }
    guard length + tokens.count > context else {
      return try append(tokens, cancellation: cancellation, progress: progress)
    }
    let kept = try keepRecent(besides: tokens)
    try sequence.cache.reserve(kept.count, writingFrom: 0)
    try sequence.reserveTokens(kept.count)
    // The rest of a shifted sequence is evaluated anew: the session is then one that began with these tokens.
    truncate(to: 0)
    try append(kept.elements, cancellation: cancellation, progress: progress)
  }

  /// Appends one token, as the other `evaluate` does.
  func evaluate(_ token: Int32, cancellation: Cancellation?) throws(XverseError) {
    try withUnsafePointer(to: token) { pointer throws(XverseError) in
      try evaluate(UnsafeBufferPointer(start: pointer, count: 1), cancellation: cancellation)
    }
  }

  /// Appends tokens and computes ln p of each under those before it; 0 for the first token of an empty session.
  ///
  /// - Parameter logprobs: `[tokens.count]`.
  /// - Throws: As `evaluate`; `logprobs` is then undefined.
  package func score(
    _ tokens: UnsafeBufferPointer<Int32>, into logprobs: UnsafeMutablePointer<Float>,
    cancellation: Cancellation? = nil, progress: Progress? = nil
  ) throws(XverseError) {
    try checkIDs(tokens)
    guard !tokens.isEmpty else { return }
    guard length + tokens.count <= context else { throw contextFull(adding: tokens.count) }
    logprobs[0] = try logprob(of: tokens[0], cancellation: cancellation)
    try append(tokens, cancellation: cancellation, progress: progress, needsAll: true) { start, end in
      // Each position predicts the token after it; the last token of all predicts nothing that is asked for.
      let targets = UnsafeBufferPointer(rebasing: tokens[start + 1..<min(end + 1, tokens.count)])
      return .score(targets: targets, logprobs: logprobs + start + 1, isLast: end == tokens.count)
    }
  }

  /// Evaluates the last token again when its logits are gone, as after `truncate`.
  package func restoreLogits(cancellation: Cancellation? = nil) throws(XverseError) {
    guard !hasLogits, let last = sequence.tokens.last else { return }
    try sequence.evaluatingLastAgain { () throws(XverseError) in
      try withUnsafePointer(to: last) { pointer throws(XverseError) in
        try append(UnsafeBufferPointer(start: pointer, count: 1), cancellation: cancellation, progress: nil)
      }
    }
  }

  // MARK: for extensions

  /// - Parameters:
  ///   - purpose: What each chunk is for; nil for the logits after the last token.
  ///   - needsAll: Whether every token must be evaluated, even one that another sequence computed.
  func append(
    _ tokens: UnsafeBufferPointer<Int32>, cancellation: Cancellation?, progress: Progress?, needsAll: Bool = false,
    purpose: ((_ start: Int, _ end: Int) -> SessionEvaluation.Purpose)? = nil
  ) throws(XverseError) {
    let begin = length
    let hadLogits = hasLogits
    statistics.queueTime = 0
    try sequence.reserveTokens(begin + tokens.count)
    var start = needsAll ? 0 : try sequence.adoptKnown(tokens)
    adoptedTokens = start
    statistics.promptTokens = tokens.count
    statistics.cachedTokens = start
    if start > 0 { hasLogits = false }
    while start < tokens.count {
      let end = min(tokens.count, start + XverseModel.tokensPerPass)
      evaluation.tokens = UnsafeBufferPointer(rebasing: tokens[start..<end])
      evaluation.sequenceLength = begin + tokens.count
      evaluation.purpose = purpose?(start, end) ?? (end == tokens.count ? .logits : .cacheOnly)
      evaluation.cancellation = cancellation
      do throws(XverseError) {
        try evaluation.perform()
      } catch {
        if error.code != .cancelled && error.code != .deadline && length > begin {
          // Only the last chunk writes the logits, so those from before the call are still there.
          truncate(to: begin)
          hasLogits = hadLogits
        }
        throw error
      }
      statistics.queueTime += evaluation.queueTime
      try sequence.append(evaluation.tokens)
      hasLogits = end == tokens.count
      start = end
      try progress?(start, tokens.count)
    }
  }

  private func logprob(of token: Int32, cancellation: Cancellation?) throws(XverseError) -> Float {
    guard length > 0 else { return 0 }
    try restoreLogits(cancellation: cancellation)
    let sum = runtime.kernels.serial.logSumExp(UnsafeBufferPointer(logitsMemory))
    return Float(Double(logitsMemory[Int(token)]) - sum)
  }

  /// - Parameter name: What the caller calls the tokens.
  func checkIDs(
    _ tokens: UnsafeBufferPointer<Int32>, _ name: @autoclosure () -> String = "tokens"
  ) throws(XverseError) {
    let vocabularySize = model.configuration.vocabularySize
    for (index, token) in tokens.enumerated() where token < 0 || Int(token) >= vocabularySize {
      throw .range("\(name())[\(index)] is \(token), expected 0 to \(vocabularySize - 1)")
    }
  }

  /// The most recent tokens that stay when the context overflows, followed by `tokens`.
  func keepRecent(besides tokens: UnsafeBufferPointer<Int32>) throws(XverseError) -> Buffer<Int32> {
    guard overflow == .shift, tokens.count <= context else { throw contextFull(adding: tokens.count) }
    let kept = min(context / 2, context - tokens.count, length)
    var result = Buffer<Int32>(allocator: runtime.allocator)
    try result.append(contentsOf: UnsafeBufferPointer(rebasing: sequence.tokens[(length - kept)...]))
    try result.append(contentsOf: tokens)
    return result
  }

  func contextFull(adding count: Int) -> XverseError {
    XverseError(
      .contextFull, "the session holds \(length) tokens and \(count) more do not fit in its context of \(context)")
  }
}
