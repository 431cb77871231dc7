// ReferenceForward.swift -- the dense transformer once more, in Float64 and plain loops: what XverseModel must compute.
// Written from the published formulas and not from the product's code.

import Foundation

/// A whole sequence through the model of a `TinyCheckpoint`.
package struct ReferenceForward {
  package let checkpoint: TinyCheckpoint
  /// Whether every operation rounds its result to float32. An operation in Float64 that is then rounded is the float32
  /// operation exactly (Figueroa 1995: 53 >= 2 * 24 + 2 bits): a float32 program that sums from left to right.
  package var roundsToSingle = false
  /// What keys and values pass through on their way to the cache: float16, or 127 steps to the largest of a head.
  package enum Cache { case exact, halves, steps }
  package var cache = Cache.exact
  /// The base of RoPE for the token at a position; a key keeps the angles that it was stored with.
  package var base: (_ position: Int) -> Double = { _ in 10_000 }
  /// What positions are divided by under linear scaling.
  package var positionDivisor = 1.0
  private let weights: [String: [Double]]

  package init(_ checkpoint: TinyCheckpoint) {
    self.checkpoint = checkpoint
    weights = Dictionary(uniqueKeysWithValues: checkpoint.tensors.map { ($0.name, $0.values.map { Double($0) }) })
  }

  /// The logits after each token, `[tokens][vocabularySize]`.
  package func logits(of tokens: [Int32]) -> [[Double]] {
    let head = checkpoint.tiesWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"
    return states(of: tokens).map { product(head, $0) }
  }

  /// The hidden states behind the final norm, `[tokens][hiddenSize]`.
  package func states(of tokens: [Int32]) -> [[Double]] {
    let hiddenSize = checkpoint.hiddenSize
    let embedding = weight("model.embed_tokens.weight")
    var states = tokens.map { id in Array(embedding[Int(id) * hiddenSize..<(Int(id) + 1) * hiddenSize]) }
    for index in 0..<checkpoint.layerCount {
      let prefix = "model.layers.\(index)."
      attend(&states, prefix)
      for t in states.indices {
        let normed = norm(states[t], prefix + "post_attention_layernorm.weight")
        let gate = product(prefix + "mlp.gate_proj.weight", normed)
        let up = product(prefix + "mlp.up_proj.weight", normed)
        let activated = zip(gate, up).map { g, u in r(r(g / r(1 + r(exp(-g)))) * u) }
        states[t] = sum(states[t], product(prefix + "mlp.down_proj.weight", activated))
      }
    }
    return states.map { norm($0, "model.norm.weight") }
  }

  /// Adds the attention of one layer to all states.
  private func attend(_ states: inout [[Double]], _ prefix: String) {
    let size = checkpoint.headSize
    let group = checkpoint.headCount / checkpoint.kvHeadCount
    var keys: [[Double]] = []
    var values: [[Double]] = []
    for t in states.indices {
      let normed = norm(states[t], prefix + "input_layernorm.weight")
      let queries = rotated(product(prefix + "self_attn.q_proj.weight", normed), at: t)
      keys.append(stored(rotated(product(prefix + "self_attn.k_proj.weight", normed), at: t)))
      values.append(stored(product(prefix + "self_attn.v_proj.weight", normed)))
      var attended = [Double](repeating: 0, count: queries.count)
      for head in 0..<checkpoint.headCount {
        let own = head * size
        let shared = head / group * size
        var scores = (0...t).map { p in
          var score = 0.0
          for i in 0..<size { score = r(score + r(queries[own + i] * keys[p][shared + i])) }
          return r(score / r(Double(size).squareRoot()))
        }
        let largest = scores.max() ?? 0
        for p in scores.indices { scores[p] = r(exp(scores[p] - largest)) }
        let total = scores.reduce(0) { r($0 + $1) }
        for i in 0..<size {
          var value = 0.0
          for p in 0...t { value = r(value + r(r(scores[p] / total) * values[p][shared + i])) }
          attended[own + i] = value
        }
      }
      states[t] = sum(states[t], product(prefix + "self_attn.o_proj.weight", attended))
    }
  }

  private func norm(_ x: [Double], _ name: String) -> [Double] {
    let weight = weight(name)
    let squares = x.reduce(0) { r($0 + r($1 * $1)) }
    let scale = r(1 / r(r(r(squares / Double(x.count)) + 1e-6).squareRoot()))
    return zip(x, weight).map { x, w in r(w * r(x * scale)) }
  }

  private func rotated(_ x: [Double], at position: Int) -> [Double] {
    let size = checkpoint.headSize
    var y = x
    for j in 0..<size / 2 {
      let frequency = r(r(1 / r(pow(base(position), r(Double(2 * j) / Double(size))))) / positionDivisor)
      let angle = r(Double(position) * frequency)
      let (cosine, sine) = (r(cos(angle)), r(sin(angle)))
      for head in stride(from: 0, to: x.count, by: size) {
        let (a, b) = (x[head + j], x[head + j + size / 2])
        y[head + j] = r(r(a * cosine) - r(b * sine))
        y[head + j + size / 2] = r(r(b * cosine) + r(a * sine))
      }
    }
    return y
  }

  private func product(_ name: String, _ x: [Double]) -> [Double] {
    let weight = weight(name)
    return (0..<weight.count / x.count).map { row in
      var result = 0.0
      for column in x.indices { result = r(result + r(weight[row * x.count + column] * x[column])) }
      return result
    }
  }

  private func sum(_ x: [Double], _ y: [Double]) -> [Double] { zip(x, y).map { r($0 + $1) } }

  private func weight(_ name: String) -> [Double] { weights[name] ?? [] }

  private func r(_ x: Double) -> Double { roundsToSingle ? Double(Float(x)) : x }

  private func stored(_ x: [Double]) -> [Double] {
    switch cache {
    case .exact: return x
    case .halves: return x.map { Double(Float16($0)) }
    case .steps:
      let size = checkpoint.headSize
      return stride(from: 0, to: x.count, by: size).flatMap { start in
        let head = x[start..<start + size]
        let step = (head.map(abs).max() ?? 0) / 127
        return head.map { ($0 / step).rounded() * step }
      }
    }
  }
}

/// What a float32 evaluation may differ from the exact one.
package struct ReferenceLogits {
  /// `[tokens][vocabularySize]`.
  package let exact: [[Double]]
  package let tolerance: Double

  /// The tolerance is 8 times the largest error of the float32 program that sums from left to right.
  ///
  /// That order has the largest bound of all, n - 1 roundings a sum of n terms; the kernels' sums in lanes and panels
  /// have smaller ones. The largest error of another order is one of the same distribution, or of a narrower one, over
  /// at least a vocabulary of logits: 8 times another's is out of its reach, and a fault in a formula is far beyond.
  package init(_ reference: ReferenceForward, _ tokens: [Int32]) {
    var single = reference
    single.roundsToSingle = true
    exact = reference.logits(of: tokens)
    tolerance = 8 * largestDifference(exact, single.logits(of: tokens))
  }
}

/// The largest |a - b|; infinite when the shapes differ or anything is NaN.
package func largestDifference(_ a: [[Double]], _ b: [[Double]]) -> Double {
  guard a.map(\.count) == b.map(\.count) else { return .infinity }
  var largest = 0.0
  for (a, b) in zip(a, b) {
    for (a, b) in zip(a, b) {
      let difference = abs(a - b)
      if !(difference <= largest) { largest = difference.isNaN ? .infinity : difference }
    }
  }
  return largest
}
