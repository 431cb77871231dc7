// SwiGLU.swift -- the gated MLP (Shazeer 2020): down(silu(gate(x)) * up(x)).

import XverseCore
import XverseTensors

/// The MLP with a layer's projections `gate` and `up` `[intermediateSize, hiddenSize]` and
/// `down [hiddenSize, intermediateSize]`.
struct SwiGLU {
  private let linears: LayerLinears

  init(_ linears: LayerLinears) { self.linears = linears }

  /// `x`, `y`: `[tokens, hiddenSize]`.
  func forward(into y: Matrix, _ x: Matrix, _ pass: ForwardPass) throws(XverseError) {
    let work = pass.workspace
    let gate = linears[.gate]
    pass.observer?.observe(.mlp, x)
    try pass.multiply(
      x, .init(gate, into: work.gateUp), .init(linears[.up], into: work.gateUp, column: gate.weights.rows))
    pass.kernels.swiGLU(into: work.activated, work.gateUp)
    pass.observer?.observe(.mlpOutput, work.activated)
    try pass.multiply(work.activated, .init(linears[.down], into: y))
  }
}
