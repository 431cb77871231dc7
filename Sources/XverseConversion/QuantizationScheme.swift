// QuantizationScheme.swift -- which matrices of a model become what.

import XverseModels
import XverseTensors

/// A choice of types for all matrices.
package enum QuantizationScheme: String, CaseIterable, Sendable {
  /// 8.5 bits a weight everywhere.
  case int8
  /// 4.5 bits a weight in the layers, 8.5 in embedding and head: an error in the head goes straight into every logit, and
  /// of the embedding one row is read a token.
  case int4

  /// The type that a matrix gets.
  package func dtype(for key: WeightKey) -> DType {
    self == .int4 && key.role.declaration.isInLayers ? .int4 : .int8
  }
}
