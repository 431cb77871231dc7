// TensorEncoding.swift -- how the numbers of a tensor lie in its file.

import XverseTensors

/// The encoding of a stored tensor.
enum TensorEncoding: Equatable, BitwiseCopyable {
  /// One by one.
  case elements(ElementType)
  /// In blocks of a GGUF file, rows one after the other.
  case blocks(GGMLType)

  /// The name in messages.
  var name: String {
    switch self {
    case .elements(let type): type.rawValue
    case .blocks(let type): type.name
    }
  }

  /// The type as which the kernels take the bytes as they lie; nil for one that must be converted, or cannot be read.
  func dtype(shape: [Int]) -> DType? {
    switch self {
    case .elements(let type): type.dtype(shape: shape)
    case .blocks: nil
    }
  }

  /// The type that a `WeightImporter` gives weights, as far as that does not depend on their values; nil for none.
  var importedType: DType? {
    switch self {
    case .elements(let type): type.dtype(shape: [])
    case .blocks(.q4_0), .blocks(.q4_1), .blocks(.q4_K): .int4F16
    case .blocks: .int8
    }
  }

  /// Whether a `WeightImporter` makes weights of it.
  func isImportable(shape: [Int]) -> Bool {
    switch self {
    case .elements(let type): type.dtype(shape: shape)?.elementSize != nil
    case .blocks: true
    }
  }
}
