// DecoderLayer.swift -- one block of the transformer.

import XverseCore
import XverseTensors

/// One pre-norm transformer block: attention, then the MLP, each added to the residual stream.
package struct DecoderLayer: Sendable {
  let inputNorm: RMSNorm  // input_layernorm
  let attention: Attention  // self_attn
  let postAttentionNorm: RMSNorm  // post_attention_layernorm
  let mlp: SwiGLU  // mlp

  /// Adds this layer's contribution to the residual stream `[tokens, hiddenSize]`.
  ///
  /// - Parameter cache: Keys and values of this layer; receives those of the pass's tokens.
  func forward(_ x: Matrix, _ pass: ForwardPass, cache: KVBlocks) throws(XverseError) {
    let work = pass.workspace
    inputNorm.forward(into: work.normed, x, pass)
    try attention.forward(into: work.contribution, work.normed, pass, cache: cache)
    pass.kernels.add(work.contribution, to: x)

    postAttentionNorm.forward(into: work.normed, x, pass)
    try mlp.forward(into: work.contribution, work.normed, pass)
    pass.kernels.add(work.contribution, to: x)
  }
}
