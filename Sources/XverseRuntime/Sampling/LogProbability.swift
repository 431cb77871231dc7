// LogProbability.swift -- what the model itself thought of a token: its log-softmax before any step of sampling.

import Glibc

/// log p of a token under the softmax of `logits`, as `LogSoftmax` has it.
func logProbability(of token: Int, in logits: UnsafeBufferPointer<Float>) -> Float {
  LogSoftmax(logits).logProbability(of: logits[token])
}

/// The softmax of logits, for the log probabilities of any of them.
///
/// NaN counts as -inf. Where some logits are +inf they share the probability. Making it takes two passes over the logits.
struct LogSoftmax {
  private let largest: Float
  /// ln of the sum of all weights, the largest logit having weight 1.
  private let logSum: Double

  init(_ logits: UnsafeBufferPointer<Float>) {
    var largestLanes = SIMD8<Float>(repeating: -.infinity)
    for start in stride(from: 0, to: logits.count, by: 8) {
      let lanes = vector8(of: logits, at: start)
      largestLanes.replace(with: lanes, where: lanes .> largestLanes)
    }
    let largest = largestLanes.max()
    var sums = SIMD8<Double>.zero
    for start in stride(from: 0, to: logits.count, by: 8) {
      let lanes = vector8(of: logits, at: start)
      let difference = (lanes - largest).replacing(with: 0, where: lanes .== largest)
      // Not "at most 0" is NaN: a logit that is one, or that lies under an infinite largest one.
      let weights = exponential(difference).replacing(with: 0, where: .!(difference .<= 0))
      sums += SIMD8<Double>(weights)
    }
    self.largest = largest
    logSum = log(sums.sum())
  }

  func logProbability(of logit: Float) -> Float {
    guard largest > -.infinity, !logit.isNaN else { return -.infinity }
    let distance = logit == largest ? 0 : Double(logit) - Double(largest)
    return Float(distance - logSum)
  }
}
