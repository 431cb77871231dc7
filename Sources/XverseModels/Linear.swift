// Linear.swift -- a matrix of the model that knows which one it is, and the matrices of one layer.

import XverseCore
import XverseTensors

/// `y = x Wᵀ` without bias: weights `[outputs, inputs]` and their key.
package struct Linear: Sendable {
  package let key: WeightKey
  package let weights: WeightMatrix

  package init(_ key: WeightKey, _ weights: WeightMatrix) {
    self.key = key
    self.weights = weights
  }
}

/// What the matrices of a model multiply; those with the same input stand together in a layer.
package enum LinearInput: Int, CaseIterable, Sendable {
  /// The normed hidden states that q, k and v multiply.
  case attention
  /// What the heads attended to, for o.
  case attentionOutput
  /// The normed hidden states that gate and up multiply.
  case mlp
  /// The activated gate times up, for down.
  case mlpOutput
  /// The final hidden states.
  case head
}

/// The matrices of one layer by their roles.
package struct LayerLinears: Sendable {
  /// In the order of `WeightKey.Role.layerMatrices`.
  package let all: [Linear]

  /// - Parameter weights: Called once for each matrix, in their order.
  package init(
    layer: Int, _ weights: (WeightKey) throws(XverseError) -> WeightMatrix
  ) throws(XverseError) {
    var linears: [Linear] = []
    linears.reserveCapacity(WeightKey.Role.layerMatrices.count)
    for role in WeightKey.Role.layerMatrices {
      let key = WeightKey(role, layer: layer)
      linears.append(Linear(key, try weights(key)))
    }
    all = linears
  }

  private init(all: [Linear]) { self.all = all }

  /// Other matrices in the places of these; `weights` is called once for each, in their order.
  package func replacing(
    _ weights: (Linear) throws(XverseError) -> WeightMatrix
  ) throws(XverseError) -> LayerLinears {
    var linears: [Linear] = []
    linears.reserveCapacity(all.count)
    for linear in all { linears.append(Linear(linear.key, try weights(linear))) }
    return LayerLinears(all: linears)
  }

  /// The matrix of a role that layers have.
  package subscript(role: WeightKey.Role) -> Linear { all[Self.places[role.rawValue]] }

  /// The matrices with the same input, as one pass multiplies them.
  package subscript(input: LinearInput) -> [Linear] { all.filter { $0.key.role.declaration.input == input } }

  /// The place of each role in `all`; past its end for a role that layers do not have.
  private static let places = WeightKey.Role.allCases.map { role in
    WeightKey.Role.layerMatrices.firstIndex(of: role) ?? .max
  }
}
