// DType.swift -- how the numbers of a stored matrix are encoded.

import CXverseKernels

/// How the elements of a tensor are stored: one by one, or quantized in blocks of 16 rows and 32 columns
/// (xverse_kernels.h, "quantized weights").
package enum DType: UInt8, Sendable, CaseIterable {
  case float32
  case float16
  case bfloat16
  case int8
  case int4
  /// Codes of 4 bits that others chose, with their scales and zero points: exactly what GPTQ and Q4_0 hold.
  case int4F16

  /// The same type as the kernels name it.
  package var kernelType: xvk_dtype {
    switch self {
    case .float32: XVK_F32
    case .float16: XVK_F16
    case .bfloat16: XVK_BF16
    case .int8: XVK_INT8
    case .int4: XVK_INT4
    case .int4F16: XVK_INT4_F16
    }
  }

  /// Bytes of one element; nil for one that is stored in blocks.
  package var elementSize: Int? {
    switch self {
    case .float32: 4
    case .float16, .bfloat16: 2
    case .int8, .int4, .int4F16: nil
    }
  }

  /// Bytes of a block; nil for what is stored one by one.
  package var blockSize: Int? {
    switch self {
    case .float32, .float16, .bfloat16: nil
    case .int8: XVK_INT8_BLOCK
    case .int4: XVK_INT4_BLOCK
    case .int4F16: XVK_INT4_F16_BLOCK
    }
  }

  /// The largest magnitude of a float that becomes an element of blocks of this type.
  package var largestQuantizable: Int { self == .int8 ? XVK_INT8_LIMIT : XVK_INT4_LIMIT }

  /// Columns of a row that share a scale.
  package static let groupSize = XVK_GROUP

  /// Groups of a row with so many columns.
  package static func groupCount(columns: Int) -> Int { Self.count(columns, by: XVK_GROUP) }

  /// Numbers in a block.
  package var elementsPerBlock: Int { isQuantized ? XVK_PANEL * XVK_GROUP : 1 }

  package var isQuantized: Bool { blockSize != nil }

  /// The types that are stored one by one, for messages: "f32, f16 or bf16".
  package static var floatNames: String {
    let names = allCases.filter { !$0.isQuantized }.map(\.name)
    return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
  }

  /// The shape in which a file holds a matrix: `[rows, columns]`, or `[panels, groups, bytes of a block]`.
  package func storedShape(rows: Int, columns: Int) -> [Int] {
    guard let blockSize else { return [rows, columns] }
    return [Self.count(rows, by: XVK_PANEL), Self.groupCount(columns: columns), blockSize]
  }

  /// Bytes of a matrix.
  package func byteCount(rows: Int, columns: Int) -> Int {
    storedShape(rows: rows, columns: columns).reduce(elementSize ?? 1, *)
  }

  /// Rows that stand together: a matrix can be cut at their multiples.
  package var rowsPerPanel: Int { isQuantized ? XVK_PANEL : 1 }

  /// Columns that stand together: a view of columns begins at one of their multiples.
  package var columnsPerBlock: Int { isQuantized ? XVK_GROUP : 1 }

  /// The name in messages and in `xverse_model_info`.
  package var name: String {
    switch self {
    case .float32: "f32"
    case .float16: "f16"
    case .bfloat16: "bf16"
    case .int8: "int8"
    case .int4: "int4"
    case .int4F16: "int4_f16"
    }
  }

  private static func count(_ number: Int, by size: Int) -> Int { (number + size - 1) / size }
}
