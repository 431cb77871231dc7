// Attention.swift -- multi-head attention with rotary positions over the KV cache; grouped when there are fewer KV heads
// than heads (Ainslie et al. 2023).

import XverseCore
import XverseTensors

/// Attention with a layer's projections `query [heads * headSize, hiddenSize]`, `key` and `value`
/// `[kvHeads * headSize, hiddenSize]`, `output [hiddenSize, heads * headSize]`.
struct Attention {
  private let linears: LayerLinears

  init(_ linears: LayerLinears) { self.linears = linears }

  /// Attends from the tokens of this pass to everything in their caches up to themselves.
  ///
  /// - Parameters:
  ///   - y: Receives `[tokens, hiddenSize]`.
  ///   - x: Normalized input `[tokens, hiddenSize]`.
  ///   - layer: Of the caches, which receive the keys and values of the pass's tokens.
  func forward(into y: Matrix, _ x: Matrix, _ pass: ForwardPass, layer: Int) throws(XverseError) {
    let work = pass.workspace
    pass.observer?.observe(.attention, x)
    try pass.multiply(
      x, .init(linears[.query], into: work.queries), .init(linears[.key], into: work.keys),
      .init(linears[.value], into: work.values))
    pass.kernels.rotate(work.queries, cosines: work.cosines, sines: work.sines)
    pass.kernels.rotate(work.keys, cosines: work.cosines, sines: work.sines)
    pass.attend(layer: layer)
    pass.observer?.observe(.attentionOutput, work.attended)
    try pass.multiply(work.attended, .init(linears[.output], into: y))
  }
}
