// Candidates.swift -- the tokens that may still be drawn. Each step of sampling (Temperature, TopK, TopP, MinP,
// TypicalP, Multinomial, one file each) is an extension of this working set and leaves less of it.

import XverseCore

/// Tokens in ascending order of id, with their logits and, once weighed, their unnormalized probabilities.
///
/// All memory is taken at the start: no step allocates or fails. After `load` and each step at least one token is left,
/// unless none had a logit above -inf.
struct Candidates: ~Copyable {
  private(set) var count = 0
  /// The largest logit that was loaded, after the temperature.
  var largest = -Float.infinity
  /// Whether `weights` are there; false makes the next step that needs them compute them.
  var isWeighed = false

  private var tokenBuffer: Buffer<Int32>
  private var logitBuffer: Buffer<Float>
  private var weightBuffer: Buffer<Float>
  /// Scratch of `threshold(reaching:rank:mass:)`.
  var histogram: Buffer<Double>

  init(vocabularySize: Int, allocator: MemoryAllocator) throws(XverseError) {
    // Whole vectors, so that no loop over them needs a tail.
    let capacity = (vocabularySize + 7) / 8 * 8
    let tokens = try Buffer<Int32>(repeating: 0, count: capacity, allocator: allocator)
    let logits = try Buffer<Float>(repeating: 0, count: capacity, allocator: allocator)
    let weights = try Buffer<Float>(repeating: 0, count: capacity, allocator: allocator)
    let histogram = try Buffer<Double>(repeating: 0, count: Self.histogramSize, allocator: allocator)
    tokenBuffer = tokens
    logitBuffer = logits
    weightBuffer = weights
    self.histogram = histogram
  }

  /// [count]; valid until the candidates go away. The steps read elements through these while `keep` moves them down.
  var tokens: UnsafeMutableBufferPointer<Int32> { tokenBuffer.mutableElements }
  var logits: UnsafeMutableBufferPointer<Float> { logitBuffer.mutableElements }
  /// e^(logit - largest); meaningful after `weigh`.
  var weights: UnsafeMutableBufferPointer<Float> { weightBuffer.mutableElements }

  /// Starts anew with every token whose logit is above -inf; NaN is not.
  mutating func load(_ scores: UnsafeBufferPointer<Float>) {
    let tokens = self.tokens
    let logits = self.logits
    var kept = 0
    var largest = -Float.infinity
    for token in scores.indices {
      let logit = scores[token]
      tokens[kept] = Int32(truncatingIfNeeded: token)
      logits[kept] = logit
      kept &+= logit > -.infinity ? 1 : 0
      largest = logit > largest ? logit : largest
    }
    count = kept
    self.largest = largest
    isWeighed = false
  }

  /// Keeps the candidates for whose index the closure is true; it is asked once each, in ascending order.
  @inline(__always)
  mutating func keep(where isKept: (_ index: Int) -> Bool) {
    let tokens = self.tokens
    let logits = self.logits
    let weights = self.weights
    var kept = 0
    for index in 0..<count {
      let stays = isKept(index)
      tokens[kept] = tokens[index]
      logits[kept] = logits[index]
      weights[kept] = weights[index]
      kept &+= stays ? 1 : 0
    }
    count = kept
  }

  /// Computes the weights unless they are there already.
  mutating func weigh() {
    guard !isWeighed else { return }
    padToWholeVectors(logits, with: -.infinity)
    let source = UnsafeRawPointer(logits.baseAddress.unsafelyUnwrapped)
    let target = UnsafeMutableRawPointer(weights.baseAddress.unsafelyUnwrapped)
    for offset in stride(from: 0, to: count * 4, by: 32) {
      let difference = source.load(fromByteOffset: offset, as: SIMD8<Float>.self) - largest
      target.storeBytes(of: exponential(difference), toByteOffset: offset, as: SIMD8<Float>.self)
    }
    isWeighed = true
  }

  /// The sum of the weights, in an order that depends on the count alone.
  mutating func totalWeight() -> Double {
    weigh()
    padToWholeVectors(weights, with: 0)
    let source = UnsafeRawPointer(weights.baseAddress.unsafelyUnwrapped)
    var sums = SIMD8<Double>.zero
    for offset in stride(from: 0, to: count * 4, by: 32) {
      sums += SIMD8<Double>(source.load(fromByteOffset: offset, as: SIMD8<Float>.self))
    }
    return sums.sum()
  }

  private func padToWholeVectors(_ elements: UnsafeMutableBufferPointer<Float>, with value: Float) {
    for index in count..<((count + 7) / 8 * 8) { elements[index] = value }
  }
}
