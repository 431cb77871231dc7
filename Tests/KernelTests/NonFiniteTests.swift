// NonFiniteTests.swift -- the first NaN or infinity of stored weights.

import CXverseKernels
import TestSupport
import Testing

@Suite("first_nonfinite")
struct NonFiniteTests {
  private func first(_ dtype: xvk_dtype, _ start: UnsafeRawPointer, count: Int, threads: Int32 = 1) throws -> Int {
    try withUnsafePointer(to: KernelSet.reference.compute(threads: threads)) {
      Int(xvk_first_nonfinite($0, dtype, start, Int64(count)))
    }
  }

  // More than a thread looks at alone, and more than two threads do.
  @Test("is the first one, wherever it stands", arguments: FloatFormat.allCases, [1, 4095, 4097, 300_001])
  func findsFirst(format: FloatFormat, count: Int) throws {
    let bad: [Float] = [.nan, -.nan, .infinity, -.infinity]
    for (index, place) in [0, count / 3, count - 1].enumerated() {
      var values = [Float](repeating: -65280, count: count)
      values[place] = bad[index]
      if place < count - 1 { values[count - 1] = bad[3] }
      let numbers = try StoredNumbers(values, as: format, shift: 1)
      for threads in [1, 2, 3] as [Int32] {
        #expect(try first(format.dtype, numbers.start, count: count, threads: threads) == place)
      }
      #expect(try first(format.dtype, numbers.start, count: place) == place)
    }
  }

  @Test("is none where all are finite", arguments: FloatFormat.allCases)
  func passesFinite(format: FloatFormat) throws {
    let largest: Float = format == .float16 ? 65504 : Float(bitPattern: 0x7F7F_0000)
    let numbers = try StoredNumbers([largest, -largest, 0, -0.0, 1, 0x1p-14], as: format)

    #expect(try first(format.dtype, numbers.start, count: 6) == 6)
  }

  @Test("is the first block with such a scale", arguments: BlockFormat.allCases, [0, 16, 17, 41])
  func findsScale(format: BlockFormat, block: Int) throws {
    for (row, bits) in [(0, 0x7C00), (15, 0xFE01)] as [(Int, UInt16)] {
      // 3 panels of 14 groups; what is behind the scale is not looked at.
      let weights = try QuantizedWeights(format, rows: 48, cols: 448) { place in
        place.initializeMemory(as: UInt8.self, repeating: 0x7B, count: 42 * format.blockSize)
        let scales = format == .int8 ? 512 : 256
        for index in [block, 41] {
          place.storeBytes(of: bits, toByteOffset: index * format.blockSize + scales + 2 * row, as: UInt16.self)
        }
        return 1
      }
      for threads in [1, 3] as [Int32] {
        let found = try first(format.dtype, weights.start, count: 42, threads: threads)
        // A scale of int4 is always finite.
        #expect(found == (format == .int4 ? 42 : block), "row \(row)")
      }
    }
  }
}

@Suite("gptq_unpack")
struct GPTQUnpackTests {
  @Test("gives each code its byte", arguments: [4, 8], [(1, 8), (7, 64), (16, 200), (33, 72)])
  func unpacks(bits: Int, shape: (rows: Int, cols: Int)) throws {
    let (rows, cols) = shape
    let (stride, perWord) = (cols == 64 ? rows : rows + 3, 32 / bits)
    var random = SeededRandom(seed: 40)
    let words = (0..<cols / perWord * stride).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) }
    // Words at an odd byte; in one case nothing behind them can be read.
    let memory = try GuardedMemory(byteCount: 4 * words.count, shift: 1)
    for (index, word) in words.enumerated() {
      memory.start.storeBytes(of: word.littleEndian, toByteOffset: 4 * index, as: UInt32.self)
    }
    func code(_ row: Int, _ col: Int) -> UInt8 {
      let word = words[col / perWord * stride + row]
      return UInt8(word >> UInt32(col % perWord * bits) & (bits == 4 ? 15 : 255))
    }
    let expected = (0..<rows).flatMap { row in (0..<cols).map { code(row, $0) } }
    for threads in [1, 3] as [Int32] {
      var codes = [UInt8](repeating: 0xA5, count: rows * cols + 1)

      try withUnsafePointer(to: KernelSet.reference.compute(threads: threads)) {
        xvk_gptq_unpack($0, &codes, memory.start, Int32(bits), Int64(stride), Int64(rows), Int64(cols))
      }

      #expect(codes == expected + [0xA5])
    }
  }
}
