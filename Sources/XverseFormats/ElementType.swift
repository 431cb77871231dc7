// ElementType.swift -- the number formats of tensors that are stored element by element, by the names that the safetensors
// format gives them.

import XverseTensors

/// The `dtype` of a tensor, as written in the header.
enum ElementType: String, BitwiseCopyable, CaseIterable {
  case f4 = "F4"
  case f6E2M3 = "F6_E2M3"
  case f6E3M2 = "F6_E3M2"
  case bool = "BOOL"
  case u8 = "U8"
  case i8 = "I8"
  case f8E4M3 = "F8_E4M3"
  case f8E4M3FNUZ = "F8_E4M3FNUZ"
  case f8E5M2 = "F8_E5M2"
  case f8E5M2FNUZ = "F8_E5M2FNUZ"
  case f8E8M0 = "F8_E8M0"
  case i16 = "I16"
  case u16 = "U16"
  case f16 = "F16"
  case bf16 = "BF16"
  case i32 = "I32"
  case u32 = "U32"
  case f32 = "F32"
  case i64 = "I64"
  case u64 = "U64"
  case f64 = "F64"
  case c64 = "C64"

  /// How tensors of a type are written.
  init(_ dtype: DType) {
    self =
      switch dtype {
      case .float32: .f32
      case .float16: .f16
      case .bfloat16: .bf16
      case .int8, .int4, .int4F16: .u8
      }
  }

  /// Bits of one element.
  var bits: Int {
    switch self {
    case .f4: 4
    case .f6E2M3, .f6E3M2: 6
    case .bool, .u8, .i8, .f8E4M3, .f8E4M3FNUZ, .f8E5M2, .f8E5M2FNUZ, .f8E8M0: 8
    case .i16, .u16, .f16, .bf16: 16
    case .i32, .u32, .f32: 32
    case .i64, .u64, .f64, .c64: 64
    }
  }

  /// The format to compute with; nil for one that no weight of a supported model has. Bytes whose last dimension is the
  /// size of a block are blocks.
  func dtype(shape: [Int]) -> DType? {
    DType.allCases.first { dtype in
      Self(dtype) == self && (!dtype.isQuantized || shape.count == 3 && dtype.blockSize == shape[2])
    }
  }
}
