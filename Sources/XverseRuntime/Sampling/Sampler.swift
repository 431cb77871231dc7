// Sampler.swift -- chooses the next token from the logits. It keeps the random numbers and the history of one sequence;
// the steps stand in a file each beside it.

import XverseCore

/// Turns logits into a token: logit bias, repetition penalty, occurrence penalties, the caller's hook, and then either
/// the largest logit or temperature, top-k, top-p, min-p, typical-p and one draw: Hugging Face's order.
///
/// One seed and the same logits give the same tokens on every machine. Each drawn token takes one random number.
/// Threads: one at a time. After `init` and `setLogitsHook` no `sample` allocates.
package final class Sampler {
  /// Changes the processed logits [vocabularySize] in place; false stops the generation.
  ///
  /// It is called after bias and penalties and before the temperature, where Hugging Face calls a caller's own
  /// processors. -inf forbids a token.
  package typealias LogitsHook = (_ logits: UnsafeMutableBufferPointer<Float>) -> Bool

  package let parameters: SamplingParameters
  package let vocabularySize: Int
  /// The seed in use: the one asked for, or the system's.
  package let seed: UInt64

  private var random: Xoshiro256
  private var history: TokenHistory
  private var hook: LogitsHook?
  /// A copy of the logits to be changed [vocabularySize]; empty when nothing changes them.
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
    history = try TokenHistory(for: parameters, vocabularySize: vocabularySize, allocator: allocator)
    scores = try Self.makeScores(parameters, hook: nil, count: vocabularySize, allocator: allocator)
    candidates = try Self.makeCandidates(parameters, vocabularySize, allocator)
  }

  private init(copying other: Sampler) throws(XverseError) {
    parameters = other.parameters
    vocabularySize = other.vocabularySize
    allocator = other.allocator
    seed = other.seed
    random = other.random
    hook = other.hook
    history = try TokenHistory(copying: other.history, allocator: allocator)
    scores = try Self.makeScores(parameters, hook: hook, count: vocabularySize, allocator: allocator)
    candidates = try Self.makeCandidates(parameters, vocabularySize, allocator)
  }

  /// A sampler in the same state, which goes its own way from here: the same hook, history and next random number.
  package func clone() throws(XverseError) -> Sampler {
    try Sampler(copying: self)
  }

  /// Sets the hook, or with nil takes it away.
  package func setLogitsHook(_ hook: LogitsHook?) throws(XverseError) {
    if hook != nil, scores.isEmpty {
      scores = try Buffer(repeating: 0, count: vocabularySize, allocator: allocator)
    }
    self.hook = hook
  }

  /// Adds a token to the history that the penalties look at. Amortized O(1).
  ///
  /// - Parameter isGenerated: False for a token of the prompt, which the occurrence penalties leave alone.
  package func accept(_ token: Int32, isGenerated: Bool) throws(XverseError) {
    guard token >= 0, Int(token) < vocabularySize else {
      throw .range("token \(token) is outside the vocabulary, expected 0 to \(vocabularySize - 1)")
    }
    try history.append(token, isGenerated: isGenerated)
  }

  /// Chooses a token and does not accept it. `logits` stay as they are.
  ///
  /// NaN counts as -inf, and such tokens are never chosen. Logits of +inf share the whole probability.
  ///
  /// - Parameter wantsLogprob: Whether to compute `logprob`, which is 0 otherwise.
  /// - Returns: The token, and its log probability under the softmax of `logits` as they came.
  /// - Throws: `failed` when every token is impossible; `stopped` when the hook said so; `invalid` for a wrong number
  ///   of logits. The random numbers are then as before.
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

  /// The logits after bias, penalties and hook; `logits` themselves when there are none of these.
  private func adjust(_ logits: UnsafeBufferPointer<Float>) throws(XverseError) -> UnsafeBufferPointer<Float> {
    guard logits.count == vocabularySize else {
      throw .invalid("\(logits.count) logits were given to the sampler, expected \(vocabularySize)")
    }
    guard !scores.isEmpty else { return logits }
    let adjusted = scores.mutableElements
    _ = adjusted.update(fromContentsOf: logits)
    addBias(parameters.logitBias, to: adjusted)
    if parameters.penalizesRepetition {
      penalizeRepetition(history.recent, by: parameters.repetitionPenalty, in: adjusted)
    }
    if parameters.penalizesOccurrence {
      penalizeOccurrence(
        of: history.generated, frequency: parameters.frequencyPenalty, presence: parameters.presencePenalty,
        in: adjusted)
    }
    if let hook, !hook(adjusted) { throw XverseError(.stopped, "the logits callback asked to stop") }
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

  private static func makeScores(
    _ parameters: SamplingParameters, hook: LogitsHook?, count: Int, allocator: MemoryAllocator
  ) throws(XverseError) -> Buffer<Float> {
    let isNeeded =
      hook != nil || !parameters.logitBias.isEmpty
      || parameters.penalizesRepetition || parameters.penalizesOccurrence
    return try Buffer(repeating: 0, count: isNeeded ? count : 0, allocator: allocator)
  }

  private static func makeCandidates(
    _ parameters: SamplingParameters, _ vocabularySize: Int, _ allocator: MemoryAllocator
  ) throws(XverseError) -> Candidates {
    try Candidates(vocabularySize: parameters.isGreedy ? 0 : vocabularySize, allocator: allocator)
  }
}
