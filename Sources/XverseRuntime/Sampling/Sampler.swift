// Sampler.swift -- chooses the next token from the logits. It keeps the random numbers and the processors of one
// sequence; processors and steps stand in a file each beside it.

import XverseCore

/// Turns logits into a token: first the processors (logit bias, repetition penalty, occurrence penalties, the caller's
/// hook and other appended ones), then either the largest logit or temperature, top-k, top-p, min-p, typical-p and one
/// draw: Hugging Face's order.
///
/// One seed and the same logits give the same tokens on every machine. Each drawn token takes one random number.
/// Threads: one at a time. `sample` does not allocate.
package final class Sampler {
  package let parameters: SamplingParameters
  package let vocabularySize: Int
  /// The seed in use: the one asked for, or the system's.
  package let seed: UInt64

  private var random: Xoshiro256
  /// In the order in which they run; none for parameters that are off.
  private var processors: [any LogitsProcessor]
  /// The copy of the logits that the processors change [vocabularySize]; empty until there is a processor.
  private var scores: Buffer<Float>
  /// Internal so that tests can see the distribution that is drawn from.
  private(set) var candidates: Candidates
  private let allocator: MemoryAllocator

  /// - Throws: `range` for a parameter outside its bounds; `outOfMemory`.
  package init(
    _ parameters: SamplingParameters, vocabularySize: Int, allocator: MemoryAllocator
  ) throws(XverseError) {
    guard vocabularySize > 0, vocabularySize <= Int(Int32.max) else {
      throw .range("the vocabulary has \(vocabularySize) tokens, expected 1 to \(Int32.max)")
    }
    try parameters.validate(vocabularySize: vocabularySize)
    self.parameters = parameters
    self.vocabularySize = vocabularySize
    self.allocator = allocator
    seed = parameters.seed ?? Xoshiro256.systemSeed()
    random = Xoshiro256(seed: seed)
    processors = try Self.makeProcessors(parameters, vocabularySize, allocator)
    scores = try Buffer(repeating: 0, count: processors.isEmpty ? 0 : vocabularySize, allocator: allocator)
    candidates = try Self.makeCandidates(parameters, vocabularySize, allocator)
  }

  private init(copying other: Sampler) throws(XverseError) {
    parameters = other.parameters
    vocabularySize = other.vocabularySize
    allocator = other.allocator
    seed = other.seed
    random = other.random
    processors = []
    for processor in other.processors { processors.append(try processor.clone()) }
    scores = try Buffer(repeating: 0, count: processors.isEmpty ? 0 : vocabularySize, allocator: allocator)
    candidates = try Self.makeCandidates(parameters, vocabularySize, allocator)
  }

  /// A sampler in the same state, which goes its own way from here: clones of the processors, the same next random
  /// number.
  package func clone() throws(XverseError) -> Sampler {
    try Sampler(copying: self)
  }

  /// Adds a processor, which runs after the present ones. Only this sampler may use it from then on.
  ///
  /// - Throws: `outOfMemory`; nothing was added.
  package func append(_ processor: any LogitsProcessor) throws(XverseError) {
    try reserveScores()
    processors.append(processor)
  }

  /// Sets the hook, which runs after the present processors, or with nil removes it. It replaces the hook set before.
  ///
  /// - Throws: `outOfMemory`; the hook is then as before.
  package func setLogitsHook(_ function: LogitsHook.Function?) throws(XverseError) {
    if function != nil { try reserveScores() }
    processors.removeAll { $0 is LogitsHook }
    if let function { processors.append(LogitsHook(function)) }
  }

  /// Adds a token to the sequence that the processors look at. Amortized O(1) with those of the parameters.
  ///
  /// - Parameter isGenerated: False for a token of the prompt, which the occurrence penalties leave alone.
  /// - Throws: `range` for a token outside the vocabulary; `outOfMemory`; what a processor throws. After an error no
  ///   processor has the token.
  package func accept(_ token: Int32, isGenerated: Bool) throws(XverseError) {
    guard token >= 0, Int(token) < vocabularySize else {
      throw .range("token \(token) is outside the vocabulary, expected 0 to \(vocabularySize - 1)")
    }
    for processor in processors { try processor.prepareToAccept(token, isGenerated: isGenerated) }
    for processor in processors { processor.accept(token, isGenerated: isGenerated) }
  }

  /// Accepts a generated token that this sampler's twin chose and accepted: it is then in the twin's state.
  ///
  /// - Throws: As `accept`.
  package func replay(_ token: Int32) throws(XverseError) {
    try accept(token, isGenerated: true)
    if !parameters.isGreedy { _ = random.uniform() }
  }

  /// Chooses a token and does not accept it. `logits` stay as they are.
  ///
  /// NaN counts as -inf, and such tokens are never chosen. Logits of +inf share the whole probability.
  ///
  /// - Parameter wantsLogprob: Whether to compute `logprob`, which is 0 otherwise.
  /// - Returns: The token, and its log probability under the softmax of `logits` as they came.
  /// - Throws: `failed` when every token is impossible; `stopped` when the hook said so; `invalid` for a wrong number
  ///   of logits; what a processor throws. The random numbers are then as before.
  package func sample(
    _ logits: UnsafeBufferPointer<Float>, wantsLogprob: Bool
  ) throws(XverseError) -> (token: Int32, logprob: Float) {
    let token: Int32
    if parameters.isGreedy {
      guard let index = indexOfLargest(try adjust(logits)) else { throw Self.noTokenPossible(vocabularySize) }
      token = Int32(truncatingIfNeeded: index)
    } else {
      try prepareCandidates(logits)
      token = candidates.draw(random.uniform())
    }
    return (token, wantsLogprob ? logProbability(of: Int(token), in: logits) : 0)
  }

  /// The logits after the processors; `logits` themselves when there are none.
  private func adjust(_ logits: UnsafeBufferPointer<Float>) throws(XverseError) -> UnsafeBufferPointer<Float> {
    guard logits.count == vocabularySize else {
      throw .invalid("\(logits.count) logits were given to the sampler, expected \(vocabularySize)")
    }
    guard !processors.isEmpty else { return logits }
    let adjusted = scores.mutableElements
    _ = adjusted.update(fromContentsOf: logits)
    for processor in processors { try processor.apply(to: adjusted) }
    return UnsafeBufferPointer(adjusted)
  }

  /// Leaves in `candidates` what may be drawn, weighed.
  func prepareCandidates(_ logits: UnsafeBufferPointer<Float>) throws(XverseError) {
    candidates.load(try adjust(logits))
    guard candidates.count > 0 else { throw Self.noTokenPossible(vocabularySize) }
    candidates.applyTemperature(parameters.temperature)
    if parameters.topK > 0 { candidates.keepTopK(parameters.topK) }
    if parameters.topP < 1 { candidates.keepTopP(parameters.topP) }
    if parameters.minP > 0 { candidates.keepMinP(parameters.minP) }
    if parameters.typicalP < 1 { candidates.keepTypicalP(parameters.typicalP) }
    candidates.weigh()
  }

  private static func noTokenPossible(_ vocabularySize: Int) -> XverseError {
    XverseError(.failed, "no token possible: all \(vocabularySize) logits are -inf or NaN after bias and penalties")
  }

  /// Allocates `scores`, unless they are there.
  private func reserveScores() throws(XverseError) {
    guard scores.isEmpty else { return }
    scores = try Buffer(repeating: 0, count: vocabularySize, allocator: allocator)
  }

  private static func makeProcessors(
    _ parameters: SamplingParameters, _ vocabularySize: Int, _ allocator: MemoryAllocator
  ) throws(XverseError) -> [any LogitsProcessor] {
    var processors: [any LogitsProcessor] = []
    if !parameters.logitBias.isEmpty { processors.append(LogitBias(parameters.logitBias)) }
    if parameters.penalizesRepetition {
      processors.append(
        try RepetitionPenalty(
          parameters.repetitionPenalty, windowSize: parameters.repeatLastN, vocabularySize: vocabularySize,
          allocator: allocator))
    }
    if parameters.penalizesOccurrence {
      processors.append(
        try OccurrencePenalties(
          frequency: parameters.frequencyPenalty, presence: parameters.presencePenalty,
          vocabularySize: vocabularySize, allocator: allocator))
    }
    return processors
  }

  private static func makeCandidates(
    _ parameters: SamplingParameters, _ vocabularySize: Int, _ allocator: MemoryAllocator
  ) throws(XverseError) -> Candidates {
    try Candidates(vocabularySize: parameters.isGreedy ? 0 : vocabularySize, allocator: allocator)
  }
}
