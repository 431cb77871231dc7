// Answer.swift -- an answer in the making: turns logits into tokens and text, and detects the end.

import XverseCore
import XverseLoading
import XverseTokenizers

/// What was generated.
package final class GenerationResult {
  /// UTF-8, followed by a NUL that `textLength` does not include.
  package fileprivate(set) var text: Buffer<UInt8>
  package fileprivate(set) var tokens: Buffer<Int32>
  /// Empty unless asked for.
  package fileprivate(set) var logprobs: Buffer<Float>
  /// For each of `tokens` the most probable ones in its place, as many as the options ask for or the vocabulary has, most
  /// probable first, and their log probabilities. Empty unless asked for.
  package fileprivate(set) var topTokens: Buffer<Int32>
  package fileprivate(set) var topLogprobs: Buffer<Float>
  package fileprivate(set) var statistics = SessionStatistics()

  init(allocator: MemoryAllocator) {
    text = Buffer(allocator: allocator)
    tokens = Buffer(allocator: allocator)
    logprobs = Buffer(allocator: allocator)
    topTokens = Buffer(allocator: allocator)
    topLogprobs = Buffer(allocator: allocator)
  }

  package var textLength: Int { max(0, text.count - 1) }
}

/// What cannot be computed again of an answer that gave up its memory.
struct AnswerRecord {
  fileprivate let result: GenerationResult
  let statistics: SessionStatistics
}

/// One answer: its sampler, detokenizer and stop strings, and what was generated so far.
///
/// Threads: one owner at a time.
final class Answer {
  let options: GenerationOptions
  let result: GenerationResult
  var statistics = SessionStatistics()

  private let model: LoadedModel
  private let sampler: Sampler
  private var detokenizer: Detokenizer
  private var matcher: StopMatcher
  /// What the detokenizer gave out, before stop strings were looked for.
  private var decoded: Buffer<UInt8>
  /// Text that is certain and not yet told; there is room for a NUL behind it.
  private var pending: Buffer<UInt8>
  /// When it was asked for.
  private let start: Int64

  /// - Parameters:
  ///   - options: As `usable()` returns them.
  ///   - continuesText: Whether the text goes on with the prompt's, so that it begins with the space that its first token
  ///     may stand for.
  /// - Throws: `range`, `limit`, `outOfMemory`.
  init(
    _ model: LoadedModel, _ options: GenerationOptions, prompt: UnsafeBufferPointer<Int32>, continuesText: Bool,
    allocator: MemoryAllocator, start: Int64 = MonotonicClock.now
  ) throws(XverseError) {
    self.model = model
    self.options = options
    self.start = start
    sampler = try Sampler(
      options.sampling, vocabularySize: model.configuration.vocabularySize, allocator: allocator)
    for token in prompt { try sampler.accept(token, isGenerated: false) }
    detokenizer = Detokenizer(tokenizer: model.tokenizer, skippingSpecials: true)
    matcher = try StopMatcher(options.stops, allocator: allocator)
    result = GenerationResult(allocator: allocator)
    decoded = Buffer(allocator: allocator)
    pending = Buffer(allocator: allocator)
    statistics.promptTokens = prompt.count
    guard continuesText else { return }
    // A few tokens, for no character has more than four bytes.
    for token in prompt.suffix(8) where Int(token) < model.tokenizer.vocabularySize {
      try detokenizer.push(token, into: &decoded)
    }
  }

  /// Whether it has as many tokens as it may have.
  var isFull: Bool { room <= 0 }

  /// How many more tokens it may have.
  var room: Int { (options.maximumNewTokens ?? .max) - statistics.generatedTokens }

  /// Adds the token that follows from `logits`, and its text.
  ///
  /// - Returns: The token, its log probability if wanted, and why the answer ends with it; nil: it goes on.
  func extend(
    _ logits: UnsafeBufferPointer<Float>
  ) throws(XverseError) -> (token: Int32, logprob: Float, end: FinishReason?) {
    let token = try sampler.sample(logits, wantsLogprob: false).token
    let softmax = options.wantsLogprobs || options.topLogprobs > 0 ? LogSoftmax(logits) : nil
    let logprob = options.wantsLogprobs ? softmax?.logProbability(of: logits[Int(token)]) ?? 0 : 0
    if statistics.generatedTokens == 0 { statistics.firstTokenTime = MonotonicClock.now - start }
    try result.tokens.append(token)
    if options.wantsLogprobs { try result.logprobs.append(logprob) }
    if let softmax { try keepMostProbable(logits, softmax) }
    try sampler.accept(token, isGenerated: true)
    statistics.generatedTokens += 1
    if !options.ignoresEOS && model.specialTokens.eos.contains(token) { return (token, logprob, .eos) }
    let isStopped = try extendText(with: token)
    return (token, logprob, isStopped ? .stop : isFull ? .length : nil)
  }

  /// What `replay` needs of it.
  var record: AnswerRecord { AnswerRecord(result: result, statistics: statistics) }

  /// Goes to where another answer of the same request was when it had added `tokens`, none of which ended it. Their text
  /// counts as told.
  func replay(_ tokens: UnsafeBufferPointer<Int32>, of other: AnswerRecord) throws(XverseError) {
    for token in tokens {
      try result.tokens.append(token)
      try sampler.replay(token)
      _ = try extendText(with: token)
      dropText()
    }
    let top = min(options.topLogprobs, model.configuration.vocabularySize) * tokens.count
    try result.logprobs.append(
      contentsOf: UnsafeBufferPointer(rebasing: other.result.logprobs.elements.prefix(tokens.count)))
    try result.topTokens.append(contentsOf: UnsafeBufferPointer(rebasing: other.result.topTokens.elements.prefix(top)))
    try result.topLogprobs.append(
      contentsOf: UnsafeBufferPointer(rebasing: other.result.topLogprobs.elements.prefix(top)))
    statistics = other.statistics
    statistics.generatedTokens = tokens.count
  }

  /// Adds what else could have stood in the place of a token.
  private func keepMostProbable(
    _ logits: UnsafeBufferPointer<Float>, _ softmax: LogSoftmax
  ) throws(XverseError) {
    let count = min(options.topLogprobs, logits.count)
    guard count > 0 else { return }
    let begin = result.topTokens.count
    for _ in 0..<count { try result.topTokens.append(0) }
    guard let tokens = result.topTokens.mutableElements.baseAddress.map({ $0 + begin }) else { return }
    logits.mostProbable(count, into: tokens)
    for index in 0..<count { try result.topLogprobs.append(softmax.logProbability(of: logits[Int(tokens[index])])) }
  }

  /// Of the last token: the most probable ones in its place, if wanted.
  var lastTop: (tokens: UnsafeBufferPointer<Int32>, logprobs: UnsafeBufferPointer<Float>) {
    let count = result.topTokens.isEmpty ? 0 : min(options.topLogprobs, model.configuration.vocabularySize)
    return (
      UnsafeBufferPointer(rebasing: result.topTokens.elements.suffix(count)),
      UnsafeBufferPointer(rebasing: result.topLogprobs.elements.suffix(count))
    )
  }

  /// Adds the token's text; returns whether a stop string is complete.
  private func extendText(with token: Int32) throws(XverseError) -> Bool {
    // A model may have more rows than its tokenizer has entries: such an id stands for no text.
    guard Int(token) < model.tokenizer.vocabularySize else { return false }
    decoded.removeAll()
    try detokenizer.push(token, into: &decoded)
    return try take(decoded.elements)
  }

  private func take(_ text: UnsafeBufferPointer<UInt8>) throws(XverseError) -> Bool {
    let before = pending.count
    let isStopped = try matcher.feed(text, into: &pending)
    try keepText(from: before)
    return isStopped
  }

  /// Adds to the result what `pending` has from `start` on.
  private func keepText(from start: Int) throws(XverseError) {
    try result.text.append(contentsOf: UnsafeBufferPointer(rebasing: pending.elements[start...]))
    try pending.reserve(pending.count + 1)
  }

  /// Completes the text: what was held back until now is certain.
  ///
  /// - Returns: The reason; `stop` when the held back text completes a stop string.
  func end(_ reason: FinishReason) throws(XverseError) -> FinishReason {
    var reason = reason
    if reason != .stop {
      decoded.removeAll()
      try detokenizer.flush(into: &decoded)
      if try take(decoded.elements) {
        reason = .stop
      } else {
        let before = pending.count
        try matcher.finish(into: &pending)
        try keepText(from: before)
      }
    }
    try result.text.append(0)
    return reason
  }

  /// Hands out the text that is certain and was not told yet, behind which a NUL stands; it counts as told then.
  ///
  /// - Parameter isWanted: False: `body` gets no text, and it stays.
  func withText<Result>(isWanted: Bool = true, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    // Without memory for the NUL, no text rather than an unterminated one.
    guard isWanted, (try? pending.append(0)) != nil else {
      let empty: StaticString = ""
      return body(UnsafeBufferPointer(start: empty.utf8Start, count: 0))
    }
    defer { pending.removeAll() }
    return body(UnsafeBufferPointer(rebasing: pending.elements.dropLast()))
  }

  /// Forgets text that was not told: nobody listens, or an error ended the answer.
  func dropText() { pending.removeAll() }

  /// Records why and when it ended.
  func finish(_ reason: FinishReason) {
    statistics.finishReason = reason
    if statistics.generatedTokens > 0 {
      statistics.decodeTime = MonotonicClock.now - start - statistics.firstTokenTime
    }
    result.statistics = statistics
  }
}

extension FinishReason {
  package init(_ error: XverseError) {
    switch error.code {
    case .cancelled: self = .cancelled
    case .deadline: self = .deadline
    default: self = .error
    }
  }
}
