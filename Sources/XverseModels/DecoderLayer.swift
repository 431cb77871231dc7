// DecoderLayer.swift -- one block of the transformer.

import XverseCore
import XverseTensors

/// One pre-norm transformer block: attention, then the MLP, each added to the residual stream.
package struct DecoderLayer: Sendable {
  package let inputNorm: RMSNorm  // input_layernorm
  package let postAttentionNorm: RMSNorm  // post_attention_layernorm
  package let linears: LayerLinears  // self_attn, mlp

  package init(inputNorm: RMSNorm, postAttentionNorm: RMSNorm, linears: LayerLinears) {
    self.inputNorm = inputNorm
    self.postAttentionNorm = postAttentionNorm
    self.linears = linears
  }

  /// The same layer with other matrices.
  package func withLinears(_ linears: LayerLinears) -> DecoderLayer {
    DecoderLayer(inputNorm: inputNorm, postAttentionNorm: postAttentionNorm, linears: linears)
  }

  /// Adds this layer's contribution to the residual stream `[tokens, hiddenSize]`.
  ///
  /// - Parameter index: Of this layer in the caches, which receive its keys and values of the pass's tokens.
  func forward(_ x: Matrix, _ pass: ForwardPass, layer index: Int) throws(XverseError) {
    let work = pass.workspace
    inputNorm.forward(into: work.normed, x, pass.kernels)
    try Attention(linears).forward(into: work.contribution, work.normed, pass, layer: index)
    pass.kernels.add(work.contribution, to: x)

    postAttentionNorm.forward(into: work.normed, x, pass.kernels)
    try SwiGLU(linears).forward(into: work.contribution, work.normed, pass)
    pass.kernels.add(work.contribution, to: x)
  }
}
