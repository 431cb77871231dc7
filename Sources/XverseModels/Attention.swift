// Attention.swift -- multi-head attention with rotary positions over the KV cache; grouped when there are fewer KV heads
// than heads (Ainslie et al. 2023).

import XverseCore
import XverseTensors

/// Projections `q, k, v, o` without bias.
package struct Attention: Sendable {
  let query: WeightMatrix  // q_proj [heads * headSize, hiddenSize]
  let key: WeightMatrix  // k_proj [kvHeads * headSize, hiddenSize]
  let value: WeightMatrix  // v_proj [kvHeads * headSize, hiddenSize]
  let output: WeightMatrix  // o_proj [hiddenSize, heads * headSize]

  /// Attends from the tokens of this pass to everything in the cache up to themselves.
  ///
  /// - Parameters:
  ///   - y: Receives `[tokens, hiddenSize]`.
  ///   - x: Normalized input `[tokens, hiddenSize]`.
  ///   - cache: Keys and values of this layer; receives those of `pass.position` and up.
  func forward(into y: Matrix, _ x: Matrix, _ pass: ForwardPass, cache: KVBlocks) throws(XverseError) {
    let work = pass.workspace
    try pass.multiply(into: work.queries, x, query)
    try pass.multiply(into: work.keys, x, key)
    try pass.multiply(into: work.values, x, value)
    pass.kernels.rotate(work.queries, cosines: work.cosines, sines: work.sines)
    pass.kernels.rotate(work.keys, cosines: work.cosines, sines: work.sines)
    pass.kernels.store(keys: work.keys, values: work.values, at: pass.position, in: cache)
    pass.kernels.attend(into: work.attended, queries: work.queries, at: pass.position, over: cache)
    try pass.multiply(into: y, work.attended, output)
  }
}
