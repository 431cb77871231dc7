// GGMLImportTests.swift -- weights in GGUF's block types become ours: exactly where both can say the same.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseFormats

@Suite("WeightImporter of GGML blocks")
struct GGMLImportTests {
  private static let rows = 20
  private static let columns = 512

  /// Random codes with scales of about 0.01 and minima that ggml's quantizer would choose.
  private func data(_ type: GGMLType, minimum: Float16 = -0.06, superMinimum: Float16 = 0.001) -> [UInt8] {
    var random = SeededRandom(seed: UInt64(type.rawValue))
    var data = (0..<Self.rows * type.rowBytes(columns: Self.columns)).map { _ in
      UInt8.random(in: 0...255, using: &random)
    }
    func put(_ value: Float16, at offset: Int) {
      for start in stride(from: offset, to: data.count, by: type.block.bytes) {
        data[start] = UInt8(truncatingIfNeeded: value.bitPattern)
        data[start + 1] = UInt8(value.bitPattern >> 8)
      }
    }
    let (scale, superScale): (Float16, Float16) = (0.011, 0.000_31)
    switch type {
    case .q4_0, .q5_0, .q8_0: put(scale, at: 0)
    case .q4_1, .q5_1:
      put(scale, at: 0)
      put(minimum, at: 2)
    case .q2_K:
      put(scale, at: 80)
      put(superMinimum, at: 82)
    case .q3_K: put(superScale, at: 108)
    case .q4_K, .q5_K:
      put(superScale, at: 0)
      put(superMinimum, at: 2)
      // Scales of at least 16 and minima below 16, in the first 4 groups of 8: at most 3.3 codes.
      if type == .q4_K { tame(&data) }
    case .q6_K: put(superScale, at: 208)
    case .f32, .f16, .bf16: break
    }
    return data
  }

  private func tame(_ data: inout [UInt8]) {
    for start in stride(from: 4, to: data.count, by: GGMLType.q4_K.block.bytes) {
      for index in 0..<4 {
        data[start + index] = data[start + index] & 0x2F | 0x90 & 0xF0
        data[start + 4 + index] &= 0x0F
        data[start + 8 + index] |= 0x08
      }
    }
  }

  private func imported(
    _ data: [UInt8], _ type: GGMLType, order: WeightImporter.RowOrder = .natural
  ) throws -> (type: DType, floats: [Float], requantizedCount: Int) {
    let directory = try TemporaryDirectory()
    var file = GGUFFile()
    file.tensors = [
      GGUFFile.Tensor("w", [UInt64(Self.columns), UInt64(Self.rows)], type: type.rawValue, data: data)
    ]
    let checkpoint = try open(directory.write("x.gguf", file.bytes))
    let tensor = try #require(try checkpoint.tensor(named: "w"))
    let kernels = try Kernels(threadCount: 2)
    let importer = WeightImporter(
      ComputeContext(kernels: kernels, allocator: .system))
    let matrix = try importer.matrix(tensor, rows: Self.rows, columns: Self.columns, order: order)
    #expect(importer.importedBytes == data.count && importer.memory.count == 1)
    var floats = [Float](repeating: .nan, count: Self.rows * Self.columns)
    floats.withUnsafeMutableBufferPointer {
      kernels.widen(
        matrix, into: Matrix(data: $0.baseAddress.unsafelyUnwrapped, rows: Self.rows, columns: Self.columns))
    }
    return withExtendedLifetime(checkpoint) { (matrix.dtype, floats, importer.requantizedCount) }
  }

  private func widened(_ data: [UInt8], _ type: GGMLType) throws -> [Float] {
    let kernels = try Kernels(threadCount: 1)
    var floats = [Float](repeating: .nan, count: Self.rows * Self.columns)
    floats.withUnsafeMutableBufferPointer { floats in
      data.withUnsafeBytes {
        kernels.widen(
          $0.baseAddress.unsafelyUnwrapped, of: type,
          into: Matrix(data: floats.baseAddress.unsafelyUnwrapped, rows: Self.rows, columns: Self.columns))
      }
    }
    return floats
  }

  @Test(
    "keeps q8_0, q5_0 and q4_0 exactly", arguments: [(GGMLType.q8_0, DType.int8), (.q5_0, .int8), (.q4_0, .int4F16)])
  func keepsExactly(type: GGMLType, expected: DType) throws {
    let data = data(type)
    let result = try imported(data, type)
    #expect(result.type == expected)
    #expect(try result.floats == widened(data, type))
  }

  @Test("keeps the codes of q4_1 and q4_K", arguments: [GGMLType.q4_1, .q4_K])
  func keepsCodes(type: GGMLType) throws {
    let data = data(type)
    let result = try imported(data, type)
    let expected = try widened(data, type)
    // A step is at most 63 * 0.00031 = 0.0196, and the weights at most 15 steps and the minimum. The scale is off by a
    // factor of 2^-11 and the zero point by a sixteenth of a code.
    let step: Float = 0.0196
    let tolerance = step / 16 + 16 * step * 0x1p-11
    #expect(result.type == .int4F16)
    #expect(zip(result.floats, expected).allSatisfy { abs($0 - $1) <= tolerance })
    #expect(result.floats != expected)
  }

  @Test("makes int8 of all other types", arguments: [GGMLType.q5_1, .q2_K, .q3_K, .q5_K, .q6_K])
  func requantizes(type: GGMLType) throws {
    let data = data(type)
    let result = try imported(data, type)
    let expected = try widened(data, type)
    let largest = expected.map(abs).max() ?? 0
    let errors = zip(result.floats, expected).map { Double($0 - $1) * Double($0 - $1) }
    // The best step makes the sum of squares no larger than the step that just reaches the largest weight, whose errors are
    // at most half of it, and the f16 of the step makes it larger by at most a factor of (1 + 127 * 2^-11)^2.
    let halfStep = Double(largest) / 127 / 2 * 1.07
    #expect(result.type == .int8 && result.requantizedCount == 1)
    #expect(errors.reduce(0, +) <= Double(errors.count) * halfStep * halfStep && errors.contains { $0 > 0 })
  }

  @Test("makes int8 of 4 bits whose zero point int4 cannot hold", arguments: [GGMLType.q4_1, .q4_K])
  func requantizesFarZeros(type: GGMLType) throws {
    let data = data(type, minimum: 0.5, superMinimum: 0.2)
    let result = try imported(data, type)
    let expected = try widened(data, type)
    let largest = expected.map(abs).max() ?? 0
    #expect(result.type == .int8)
    #expect(zip(result.floats, expected).allSatisfy { abs($0 - $1) <= largest / 127 })
  }

  @Test("puts rows of heads in their order", arguments: [GGMLType.q8_0, .q4_0, .q6_K])
  func ordersRows(type: GGMLType) throws {
    let data = data(type)
    let natural = try imported(data, type).floats
    let ordered = try imported(data, type, order: .rotaryPairs(heads: 2)).floats
    // Heads of 10 rows: 0, 5, 1, 6, 2 ... in the file.
    for row in 0..<Self.rows {
      let (head, index) = row.quotientAndRemainder(dividingBy: 10)
      let stored = head * 10 + index % 5 * 2 + index / 5
      let source = natural[stored * Self.columns..<(stored + 1) * Self.columns]
      let place = ordered[row * Self.columns..<(row + 1) * Self.columns]
      // Rows of int8 have scales of their own, so the order does not matter to them.
      #expect(Array(place) == Array(source), "row \(row)")
    }
  }

  @Test("rejects scales that are not finite", arguments: [GGMLType.q8_0, .q4_0, .q4_1, .q5_1])
  func rejectsInfiniteScales(type: GGMLType) throws {
    var data = data(type)
    data[type.block.bytes] = 0
    data[type.block.bytes + 1] = 0x7C
    let error = #expect(throws: XverseError.self) { try imported(data, type) }
    #expect(error?.code == .corrupt)
    #expect(error?.message.hasPrefix("x.gguf: tensor 'w' has a value that is not finite or beyond 4096") == true)
  }
}
