// Attention.swift -- multi-head attention with rotary positions over the KV cache; grouped when there are fewer KV heads
// than heads (Ainslie et al. 2023).

import XverseCore
import XverseTensors

/// Projections `q, k, v, o` without bias.
package struct Attention: Sendable {
  package let query: WeightMatrix  // q_proj [heads * headSize, hiddenSize]
  package let key: WeightMatrix  // k_proj [kvHeads * headSize, hiddenSize]
  package let value: WeightMatrix  // v_proj [kvHeads * headSize, hiddenSize]
  package let output: WeightMatrix  // o_proj [hiddenSize, heads * headSize]

  package init(query: WeightMatrix, key: WeightMatrix, value: WeightMatrix, output: WeightMatrix) {
    self.query = query
    self.key = key
    self.value = value
    self.output = output
  }

  /// Attends from the tokens of this pass to everything in the cache up to themselves.
  ///
  /// - Parameters:
  ///   - y: Receives `[tokens, hiddenSize]`.
  ///   - x: Normalized input `[tokens, hiddenSize]`.
  ///   - cache: Keys and values of this layer; receives those of the pass's tokens.
  func forward(into y: Matrix, _ x: Matrix, _ pass: ForwardPass, cache: some LayerCache) throws(XverseError) {
    let work = pass.workspace
    pass.observer?.observe(.attention, x)
    try pass.multiply(
      x, Kernels.Product(query, into: work.queries), Kernels.Product(key, into: work.keys),
      Kernels.Product(value, into: work.values))
    pass.kernels.rotate(work.queries, cosines: work.cosines, sines: work.sines)
    pass.kernels.rotate(work.keys, cosines: work.cosines, sines: work.sines)
    cache.attend(work, pass.kernels)
    pass.observer?.observe(.attentionOutput, work.attended)
    try pass.multiply(work.attended, Kernels.Product(output, into: y))
  }
}
