// Kernels+Packing.swift -- what readers of other formats call: weights that were quantized elsewhere become blocks of int8
// and int4_f16, exactly.

import CXverseKernels

extension Kernels {
  /// Lays `scale * q` out as int8 blocks; rows and columns that fill up the last blocks become zeros.
  ///
  /// A large matrix can be done in parts of whole panels: rows that begin at a multiple of `DType.int8.rowsPerPanel`.
  ///
  /// - Parameters:
  ///   - codes: q `[rows, columns]`.
  ///   - scales: Bits of f16 `[rows, groups]`, a group being `DType.groupSize` columns, the last one shorter.
  ///   - destination: `DType.int8.byteCount(rows: rows, columns: columns)` bytes.
  /// - Returns: false when a scale is not finite; the blocks are then of no use.
  package func pack(
    int8 codes: UnsafeBufferPointer<Int8>, scales: UnsafeBufferPointer<UInt16>, rows: Int, columns: Int,
    into destination: UnsafeMutableRawBufferPointer
  ) -> Bool {
    Self.requirePackable(.int8, codes.count, scales.count, rows, columns, destination)
    return withCompute {
      xvk_pack_int8($0, destination.baseAddress, codes.baseAddress, scales.baseAddress, Int64(rows), Int64(columns))
    } != 0
  }

  /// Lays `scale * (code - zero / 8)` out as int4_f16 blocks; all else as for int8.
  ///
  /// - Parameters:
  ///   - codes: 0 ... 15, one a byte, `[rows, columns]`.
  ///   - scales: Bits of f16 `[rows, groups]`; negative ones are fine.
  ///   - zeros: In eighths of a code, 0 ... 128, `[rows, groups]`.
  ///   - destination: `DType.int4F16.byteCount(rows: rows, columns: columns)` bytes.
  /// - Returns: false when a scale is not finite, a code beyond 15 or a zero beyond 128.
  package func pack(
    int4 codes: UnsafeBufferPointer<UInt8>, scales: UnsafeBufferPointer<UInt16>, zeros: UnsafeBufferPointer<UInt8>,
    rows: Int, columns: Int, into destination: UnsafeMutableRawBufferPointer
  ) -> Bool {
    Self.requirePackable(.int4F16, codes.count, scales.count, rows, columns, destination)
    precondition(zeros.count == scales.count, "\(zeros.count) zero points of \(scales.count) groups")
    return withCompute {
      xvk_pack_int4_f16(
        $0, destination.baseAddress, codes.baseAddress, scales.baseAddress, zeros.baseAddress, Int64(rows),
        Int64(columns))
    } != 0
  }

  /// The codes of rows that AutoGPTQ packs, one a byte.
  ///
  /// - Parameters:
  ///   - words: The first word of the first row; the next word of that row stands `stride` words of 32 bits behind it.
  ///   - bits: 4 or 8; `columns` is a multiple of the codes in a word.
  ///   - codes: `[rows, columns]`.
  package func unpackGPTQ(
    _ words: UnsafeRawPointer, bits: Int, stride: Int, rows: Int, columns: Int,
    into codes: UnsafeMutableBufferPointer<UInt8>
  ) {
    precondition((bits == 4 || bits == 8) && columns % (32 / bits) == 0, "\(columns) codes of \(bits) bits")
    precondition(rows <= stride && codes.count >= rows * columns, "\(rows) rows of \(stride)")
    withCompute {
      xvk_gptq_unpack($0, codes.baseAddress, words, Int32(bits), Int64(stride), Int64(rows), Int64(columns))
    }
  }

  private static func requirePackable(
    _ dtype: DType, _ codeCount: Int, _ scaleCount: Int, _ rows: Int, _ columns: Int,
    _ destination: UnsafeMutableRawBufferPointer
  ) {
    precondition(rows > 0 && columns > 0 && codeCount == rows * columns, "\(codeCount) codes of \(rows) x \(columns)")
    precondition(scaleCount == rows * DType.groupCount(columns: columns), "\(scaleCount) scales of \(rows) rows")
    precondition(destination.count == dtype.byteCount(rows: rows, columns: columns), "\(destination.count) bytes")
  }
}
