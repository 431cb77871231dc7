// QuantizationScheme.swift -- which matrices of a model become what.

import XverseTensors

/// A choice of types for all matrices.
package enum QuantizationScheme: String, CaseIterable, Sendable {
  /// 8.5 bits a weight everywhere.
  case int8
  /// 4.5 bits a weight in the layers, 8.5 in embedding and head: an error in the head goes straight into every logit, and
  /// of the embedding one row is read a token.
  case int4

  package enum Role: Sendable {
    case projection
    case embeddingOrHead
  }

  /// The type that a matrix gets.
  package func dtype(for role: Role) -> DType {
    self == .int4 && role == .projection ? .int4 : .int8
  }
}
