// SwiGLU.swift -- the gated MLP (Shazeer 2020): down(silu(gate(x)) * up(x)).

import XverseCore
import XverseTensors

/// Projections `gate, up, down` without bias.
package struct SwiGLU: Sendable {
  let gate: WeightMatrix  // gate_proj [intermediateSize, hiddenSize]
  let up: WeightMatrix  // up_proj [intermediateSize, hiddenSize]
  let down: WeightMatrix  // down_proj [hiddenSize, intermediateSize]

  /// `x`, `y`: `[tokens, hiddenSize]`.
  func forward(into y: Matrix, _ x: Matrix, _ pass: ForwardPass) throws(XverseError) {
    let work = pass.workspace
    try pass.multiply(into: work.gateUp, x, gate)
    try pass.multiply(into: work.gateUp, column: gate.rows, x, up)
    pass.kernels.swiGLU(into: work.activated, work.gateUp)
    try pass.multiply(into: y, work.activated, down)
  }
}
