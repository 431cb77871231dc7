// GGMLTests.swift -- GGUF's block types against the numbers of ggml's own package.

import TestSupport
import Testing
import XverseTensors

@Suite("GGML blocks")
struct GGMLTests {
  private static let blocks = GGMLBlocks.fixture?.blocks ?? []
  private static let encodings = GGMLType.allCases.filter { $0.elements == nil }

  private func type(_ name: String) throws -> GGMLType {
    try #require(GGMLType.allCases.first { $0.name == name })
  }

  private func widened(
    _ data: [UInt8], _ type: GGMLType, rows: Int, columns: Int, threads: Int = 1, skipping: Int = 0
  ) throws -> [Float] {
    let kernels = try Kernels(threadCount: threads)
    var floats = [Float](repeating: .nan, count: rows * columns)
    floats.withUnsafeMutableBufferPointer { floats in
      data.withUnsafeBytes { data in
        kernels.widen(
          data.baseAddress.unsafelyUnwrapped + skipping, of: type,
          into: Matrix(data: floats.baseAddress.unsafelyUnwrapped, rows: rows, columns: columns))
      }
    }
    return floats
  }

  @Test("the fixture has blocks of every type")
  func hasEveryType() {
    #expect(Set(Self.blocks.map(\.type)) == Set(Self.encodings.map(\.name)))
  }

  @Test("widen to ggml's floats, bit for bit", arguments: blocks)
  func widenExactly(blocks: GGMLBlocks.Blocks) throws {
    let type = try type(blocks.type)
    let values = try widened(blocks.data, type, rows: 2, columns: type.block.columns)
    #expect(values.map(\.bitPattern) == blocks.values.map(\.bitPattern))
    let one = try widened(blocks.data, type, rows: 1, columns: 2 * type.block.columns)
    #expect(one.map(\.bitPattern) == blocks.values.map(\.bitPattern))
  }

  @Test("widen at any byte and with any number of threads to the same bits", arguments: encodings)
  func widenAnywhere(type: GGMLType) throws {
    var random = SeededRandom(seed: 4)
    let (rows, columns) = (37, 1024)
    let data = (0..<rows * type.rowBytes(columns: columns)).map { _ in UInt8.random(in: 0...255, using: &random) }
    let expected = try widened(data, type, rows: rows, columns: columns)
    let shifted = try widened([0] + data, type, rows: rows, columns: columns, threads: 2, skipping: 1)
    #expect(shifted.map(\.bitPattern) == expected.map(\.bitPattern))
  }

  @Test("floats narrow to ggml's bytes", arguments: [GGMLType.f16, .q8_0, .q4_0])
  func narrowExactly(type: GGMLType) throws {
    let narrowed = try #require(GGMLBlocks.fixture?.narrowed)
    var values = narrowed.values
    let expected = narrowed.data(type.name)

    let data = try narrow(&values, type)

    #expect(data == expected && !expected.isEmpty)
  }

  private func narrow(_ values: inout [Float], _ type: GGMLType) throws -> [UInt8]? {
    let kernels = try Kernels(threadCount: 1)
    var data = [UInt8](repeating: 0xAA, count: 2 * type.rowBytes(columns: 64))
    let fits = values.withUnsafeMutableBufferPointer { values in
      data.withUnsafeMutableBytes { data in
        kernels.narrow(
          Matrix(data: values.baseAddress.unsafelyUnwrapped, rows: 2, columns: 64), to: type,
          at: data.baseAddress.unsafelyUnwrapped)
      }
    }
    return fits ? data : nil
  }

  @Test(
    "floats that are not finite or beyond an f16 are refused",
    arguments: [GGMLType.f16, .q8_0, .q4_0], [Float.nan, .infinity, -65_536])
  func refuseFloats(type: GGMLType, value: Float) throws {
    var values = [Float](repeating: 0.25, count: 128)
    values[77] = value
    #expect(try narrow(&values, type) == nil)
  }
}
