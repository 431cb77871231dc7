// DType.swift -- the number formats of stored tensors.

/// How the elements of a tensor are stored.
package enum DType: UInt8, Sendable, CaseIterable {
  case float32
  case float16
  case bfloat16

  /// Bytes of one element.
  package var size: Int { self == .float32 ? 4 : 2 }

  /// The name in messages and in `xverse_model_info`.
  package var name: String {
    switch self {
    case .float32: "f32"
    case .float16: "f16"
    case .bfloat16: "bf16"
    }
  }
}
