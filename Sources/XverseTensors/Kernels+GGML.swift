// Kernels+GGML.swift -- from and to the block types of GGUF.

import CXverseKernels

extension Kernels {
  /// All elements of `y.rows` rows in blocks of `type` as f32, as ggml computes them.
  package func widen(_ blocks: UnsafeRawPointer, of type: GGMLType, into y: Matrix) {
    precondition(type.elements == nil && y.columns % type.block.columns == 0, "rows of \(y.columns) columns")
    withCompute { xvk_ggml_widen($0, Int32(type.rawValue), y.data, blocks, Int64(y.rows), Int64(y.columns)) }
  }

  /// Takes rows in blocks of `type`, q8_0 or q5_0, apart.
  ///
  /// - Parameters:
  ///   - codes: `[rows, columns]`.
  ///   - scales: Bits of f16 `[rows, groups]`.
  /// - Returns: false when a code is none of int8's.
  package func split(
    _ blocks: UnsafeRawPointer, of type: GGMLType, int8 codes: UnsafeMutableBufferPointer<Int8>,
    scales: UnsafeMutableBufferPointer<UInt16>, rows: Int, columns: Int
  ) -> Bool {
    precondition((type == .q8_0 || type == .q5_0) && columns % type.block.columns == 0, "codes of \(type.name)")
    precondition(codes.count == rows * columns && scales.count == rows * columns / DType.groupSize, "room for codes")
    return withCompute {
      xvk_ggml_split_int8(
        $0, Int32(type.rawValue), codes.baseAddress, scales.baseAddress, blocks, Int64(rows), Int64(columns))
    } != 0
  }

  /// The same for q4_0, q4_1 and q4_K.
  ///
  /// - Parameter zeros: In eighths of a code `[rows, groups]`.
  /// - Returns: false when a zero point is none of int4_f16's.
  package func split(
    _ blocks: UnsafeRawPointer, of type: GGMLType, int4 codes: UnsafeMutableBufferPointer<UInt8>,
    scales: UnsafeMutableBufferPointer<UInt16>, zeros: UnsafeMutableBufferPointer<UInt8>, rows: Int, columns: Int
  ) -> Bool {
    precondition(
      (type == .q4_0 || type == .q4_1 || type == .q4_K) && columns % type.block.columns == 0, "codes of \(type.name)")
    precondition(codes.count == rows * columns && scales.count == rows * columns / DType.groupSize, "room for codes")
    precondition(zeros.count == scales.count, "room for zero points")
    return withCompute {
      xvk_ggml_split_int4(
        $0, Int32(type.rawValue), codes.baseAddress, scales.baseAddress, zeros.baseAddress, blocks, Int64(rows),
        Int64(columns))
    } != 0
  }

  /// Writes `x` as `type`, one of f16, q8_0 and q4_0, to `destination`, rounded as ggml rounds.
  ///
  /// - Returns: false when an element is not finite or beyond the largest f16.
  package func narrow(_ x: Matrix, to type: GGMLType, at destination: UnsafeMutableRawPointer) -> Bool {
    precondition(
      [.f16, .q8_0, .q4_0].contains(type) && x.columns % type.block.columns == 0, "narrowing to \(type.name)")
    return withCompute {
      xvk_ggml_narrow($0, Int32(type.rawValue), destination, x.data, Int64(x.rows), Int64(x.columns))
    } != 0
  }
}
