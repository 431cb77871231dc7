// DecoderLayer.swift -- one block of the transformer.

import XverseCore
import XverseTensors

/// One pre-norm transformer block: attention, then the MLP, each added to the residual stream.
package struct DecoderLayer: Sendable {
  package let inputNorm: RMSNorm  // input_layernorm
  package let attention: Attention  // self_attn
  package let postAttentionNorm: RMSNorm  // post_attention_layernorm
  package let mlp: SwiGLU  // mlp

  package init(inputNorm: RMSNorm, attention: Attention, postAttentionNorm: RMSNorm, mlp: SwiGLU) {
    self.inputNorm = inputNorm
    self.attention = attention
    self.postAttentionNorm = postAttentionNorm
    self.mlp = mlp
  }

  /// Adds this layer's contribution to the residual stream `[tokens, hiddenSize]`.
  ///
  /// - Parameter cache: Keys and values of this layer; receives those of the pass's tokens.
  package func forward(_ x: Matrix, _ pass: ForwardPass, cache: some LayerCache) throws(XverseError) {
    let work = pass.workspace
    inputNorm.forward(into: work.normed, x, pass)
    try attention.forward(into: work.contribution, work.normed, pass, cache: cache)
    pass.kernels.add(work.contribution, to: x)

    postAttentionNorm.forward(into: work.normed, x, pass)
    try mlp.forward(into: work.contribution, work.normed, pass)
    pass.kernels.add(work.contribution, to: x)
  }
}
