// GGMLType.swift -- how the numbers of a GGUF file's tensors are encoded (ggml.h, "enum ggml_type").

import CXverseKernels

/// An encoding that weights can have in a GGUF file.
package enum GGMLType: UInt32, Sendable, BitwiseCopyable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q2_K = 10
  case q3_K = 11
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case bf16 = 30

  /// Columns of a row that are encoded together, and their bytes.
  package var block: (columns: Int, bytes: Int) {
    switch self {
    case .f32: (1, 4)
    case .f16, .bf16: (1, 2)
    case .q4_0: (32, 18)
    case .q4_1: (32, 20)
    case .q5_0: (32, 22)
    case .q5_1: (32, 24)
    case .q8_0: (32, 34)
    case .q2_K: (256, 84)
    case .q3_K: (256, 110)
    case .q4_K: (256, 144)
    case .q5_K: (256, 176)
    case .q6_K: (256, 210)
    }
  }

  /// The name that llama.cpp prints: "q4_K".
  package var name: String { "\(self)" }

  /// The name of any type that a file can name; nil for a number that none has.
  package static func name(of number: UInt32) -> String? {
    if let type = GGMLType(rawValue: number) { return type.name }
    return others.first { $0.number == number }?.name
  }

  /// The types that are not read.
  private static let others: [(number: UInt32, name: String)] = [
    (4, "q4_2"), (5, "q4_3"), (9, "q8_1"), (15, "q8_K"), (16, "iq2_xxs"), (17, "iq2_xs"), (18, "iq3_xxs"),
    (19, "iq1_s"), (20, "iq4_nl"), (21, "iq3_s"), (22, "iq2_s"), (23, "iq4_xs"), (24, "i8"), (25, "i16"), (26, "i32"),
    (27, "i64"), (28, "f64"), (29, "iq1_m"), (31, "q4_0_4_4"), (32, "q4_0_4_8"), (33, "q4_0_8_8"), (34, "tq1_0"),
    (35, "tq2_0"), (36, "iq4_nl_4_4"), (37, "iq4_nl_4_8"), (38, "iq4_nl_8_8"), (39, "mxfp4"), (40, "nvfp4"),
    (41, "q1_0"),
  ]

  /// The same numbers one by one; nil for blocks.
  package var elements: DType? {
    switch self {
    case .f32: .float32
    case .f16: .float16
    case .bf16: .bfloat16
    default: nil
    }
  }

  /// Bytes of a row; `columns` is a multiple of `block.columns`.
  package func rowBytes(columns: Int) -> Int { columns / block.columns * block.bytes }
}
