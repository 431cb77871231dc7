// SwiGLU.swift -- the gated MLP (Shazeer 2020): down(silu(gate(x)) * up(x)).

import XverseCore
import XverseTensors

/// Projections `gate, up, down` without bias.
package struct SwiGLU: Sendable {
  package let gate: WeightMatrix  // gate_proj [intermediateSize, hiddenSize]
  package let up: WeightMatrix  // up_proj [intermediateSize, hiddenSize]
  package let down: WeightMatrix  // down_proj [hiddenSize, intermediateSize]

  package init(gate: WeightMatrix, up: WeightMatrix, down: WeightMatrix) {
    self.gate = gate
    self.up = up
    self.down = down
  }

  /// `x`, `y`: `[tokens, hiddenSize]`.
  func forward(into y: Matrix, _ x: Matrix, _ pass: ForwardPass) throws(XverseError) {
    let work = pass.workspace
    pass.observer?.observe(.mlp, x)
    try pass.multiply(
      x, Kernels.Product(gate, into: work.gateUp), Kernels.Product(up, into: work.gateUp, column: gate.rows))
    pass.kernels.swiGLU(into: work.activated, work.gateUp)
    pass.observer?.observe(.mlpOutput, work.activated)
    try pass.multiply(work.activated, Kernels.Product(down, into: y))
  }
}
