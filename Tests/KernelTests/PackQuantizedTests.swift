// PackQuantizedTests.swift -- weights that others have quantized keep every code, scale and zero point.

import CXverseKernels
import TestSupport
import Testing

@Suite("pack of quantized weights")
struct PackQuantizedTests {
  static let shapes = [(1, 1), (7, 33), (16, 32), (33, 7), (17, 172)]

  /// q and scales of int8, as Q8_0 holds them.
  private func int8Codes(rows: Int, cols: Int) -> (q: [Int8], scales: [UInt16]) {
    var random = SeededRandom(seed: 1)
    let groups = (cols + XVK_GROUP - 1) / XVK_GROUP
    return (
      (0..<rows * cols).map { $0 == 0 ? -128 : Int8(127 * random.floats(1)[0]) },
      random.floats(rows * groups).map { Float16($0).bitPattern }
    )
  }

  private func packed(
    int8 codes: (q: [Int8], scales: [UInt16]), rows: Int, cols: Int, threads: Int32 = 1
  ) throws -> QuantizedWeights {
    let compute = try KernelSet.reference.compute(threads: threads)
    return try QuantizedWeights(.int8, rows: rows, cols: cols) { place in
      withUnsafePointer(to: compute) { xvk_pack_int8($0, place, codes.q, codes.scales, Int64(rows), Int64(cols)) }
    }
  }

  private func packed(_ codes: ForeignCodes, threads: Int32 = 1) throws -> QuantizedWeights {
    let compute = try KernelSet.reference.compute(threads: threads)
    return try QuantizedWeights(.int4F16, rows: codes.rows, cols: codes.cols) { place in
      withUnsafePointer(to: compute) { codes.pack($0, at: place) }
    }
  }

  @Test("keeps codes and scales of int8", arguments: shapes)
  func keepsInt8(rows: Int, cols: Int) throws {
    let codes = int8Codes(rows: rows, cols: cols)

    let w = try packed(int8: codes, rows: rows, cols: cols)

    #expect(w.isQuantizable)
    let groups = (cols + XVK_GROUP - 1) / XVK_GROUP
    for (index, q) in codes.q.enumerated() {
      let (row, col) = (index / cols, index % cols)
      let scale = Float16(bitPattern: codes.scales[row * groups + col / XVK_GROUP])
      #expect(w.code(row, col) == Double(q) && w.grid(row, col / XVK_GROUP).step == Double(scale), "at \(index)")
    }
  }

  @Test("keeps codes, scales and zero points of 4 bits", arguments: shapes)
  func keepsInt4(rows: Int, cols: Int) throws {
    var codes = ForeignCodes(bellShaped(rows * cols, seed: 2), rows: rows, cols: cols)
    // Q4_0 has negative scales, GPTQ zero points of 16 codes.
    codes.scales[0] |= 0x8000
    codes.zeros[codes.zeros.count - 1] = 128

    let w = try packed(codes)

    #expect(w.isQuantizable)
    for (index, code) in codes.codes.enumerated() {
      let (row, col) = (index / cols, index % cols)
      let (grid, place) = (w.grid(row, col / XVK_GROUP), row * codes.groups + col / XVK_GROUP)
      #expect(w.code(row, col) == Double(code), "at \(index)")
      #expect(grid.step == Double(Float16(bitPattern: codes.scales[place])), "at \(index)")
      #expect(grid.zero == Double(codes.zeros[place]) / 8, "at \(index)")
    }
  }

  @Test("fills blocks up with zeros")
  func fillsUp() throws {
    let codes = ForeignCodes(bellShaped(18 * 40, seed: 3), rows: 18, cols: 40)

    let (int4, int8) = try (packed(codes), packed(int8: int8Codes(rows: 18, cols: 40), rows: 18, cols: 40))

    for w in [int4, int8] {
      for row in 18..<32 {
        let isZero = (0..<64).allSatisfy { w.code(row, $0) == 0 } && (0..<2).allSatisfy { w.grid(row, $0).step == 0 }
        #expect(isZero, "row \(row)")
      }
      #expect((0..<18).allSatisfy { row in (40..<64).allSatisfy { w.code(row, $0) == 0 } })
    }
  }

  @Test("gives the same blocks on any number of threads", arguments: [2, 3] as [Int32])
  func ignoresThreads(threads: Int32) throws {
    let codes = ForeignCodes(bellShaped(100 * 70, seed: 4), rows: 100, cols: 70)
    let bytes = int8Codes(rows: 100, cols: 70)

    #expect(try packed(codes, threads: threads).bytes == packed(codes).bytes)
    #expect(
      try packed(int8: bytes, rows: 100, cols: 70, threads: threads).bytes
        == packed(int8: bytes, rows: 100, cols: 70).bytes)
  }

  @Test("refuses scales that are not finite", arguments: [0x7C00, 0xFC00, 0x7E01] as [UInt16], [1, 2] as [Int32])
  func refusesScales(scale: UInt16, threads: Int32) throws {
    var codes = ForeignCodes(bellShaped(33 * 70, seed: 5), rows: 33, cols: 70)
    var bytes = int8Codes(rows: 33, cols: 70)
    codes.scales[40] = scale
    bytes.scales[40] = scale

    #expect(try !packed(codes, threads: threads).isQuantizable)
    #expect(try !packed(int8: bytes, rows: 33, cols: 70, threads: threads).isQuantizable)
  }

  @Test("refuses codes beyond 4 bits and zero points beyond 128", arguments: [0, 41, 98])
  func refusesCodes(group: Int) throws {
    let good = ForeignCodes(bellShaped(33 * 70, seed: 6), rows: 33, cols: 70)
    var (badCode, badZero) = (good, good)
    badCode.codes[group * 23] = 16
    badZero.zeros[group] = 129

    #expect(try packed(good).isQuantizable)
    #expect(try !packed(badCode).isQuantizable)
    #expect(try !packed(badZero).isQuantizable)
  }
}
