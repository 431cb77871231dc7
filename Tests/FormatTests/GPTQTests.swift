// GPTQTests.swift -- matrices as AutoGPTQ packs them: what is read is exactly what was packed.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseFormats

@Suite("GPTQ")
struct GPTQTests {
  @Test(
    "becomes blocks of our own without loss",
    arguments: [
      (4, 32, 40, 96), (4, 64, 8, 128), (4, 128, 304, 128), (4, nil, 24, 64), (4, 32, 16, 104), (8, 32, 20, 96),
      (8, nil, 132, 36),
    ])
  func packsExactly(bits: Int, groupSize: Int?, rows: Int, columns: Int) throws {
    let matrix = PackedMatrix(bits: bits, groupSize: groupSize, rows: rows, columns: columns)
    let imported = try matrix.imported()
    #expect(imported.dtype == (bits == 4 ? .int4F16 : .int8))
    #expect(imported.requantizedCount == 0)
    #expect(imported.values == matrix.values)
  }

  @Test("of the second version has zero points as they are")
  func readsSecondVersion() throws {
    var matrix = PackedMatrix(bits: 4, groupSize: 32, rows: 16, columns: 64)
    matrix.parameters = GPTQParameters(bits: 4, groupSize: 32, zeroOffset: 0)
    #expect(try matrix.imported().values == matrix.values)
  }

  @Test("whose neighbours have scales of their own is rounded to int8", arguments: [4, 8])
  func roundsScatteredGroups(bits: Int) throws {
    var matrix = PackedMatrix(bits: bits, groupSize: 32, rows: 16, columns: 64)
    matrix.groups = (0..<64).map { $0 % 2 }
    let imported = try matrix.imported()
    #expect(imported.dtype == .int8)
    #expect(imported.requantizedCount == 1)
    // The quantizer's squared error is at most that of rounding to 127 steps up to a group's largest weight: half a step
    // each. One hundredth for the scale's own rounding to f16.
    let step = Double(matrix.values.map(abs).max() ?? 0) / 127
    let error = zip(imported.values, matrix.values).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
    #expect(error <= Double(matrix.values.count) * step * step / 4 * 1.01)
    #expect(error > 0)
  }

  @Test("of 8 bits whose codes pass a signed byte is rounded")
  func roundsWideCodes() throws {
    var matrix = PackedMatrix(bits: 8, groupSize: 32, rows: 16, columns: 64)
    matrix.zeros = matrix.zeros.map { _ in 20 }
    matrix.codes[5] = 255
    let imported = try matrix.imported()
    #expect(imported.dtype == .int8 && imported.requantizedCount == 1)
  }

  @Test("rejects shapes, types and groups that cannot be, naming the tensor")
  func rejectsBadTensors() throws {
    let cases: [(XverseError.Code, String, (inout PackedMatrix) -> Void)] = [
      (.corrupt, "'w.g_idx' has group 2 at 3, expected 0 to 1", { $0.groups?[3] = 2 }),
      (.corrupt, "'w.g_idx' has group -1 at 0", { $0.groups?[0] = -1 }),
      (.corrupt, "'w.qzeros' has shape [2, 2], expected [1, 2]", { $0.expectedGroupSize = 64 }),
      (.corrupt, "'w.qweight' has shape [8, 16], expected [16, 16]", { $0.expectedBits = 8 }),
      (.corrupt, "'w.qweight' has shape [8, 16], expected [8, 24]", { $0.expectedRows = 24 }),
      (.unsupported, "expected multiples of 8", { $0.expectedRows = 20 }),
      (.unsupported, "'w.scales' has dtype BF16, expected F16", { $0.scaleType = "BF16" }),
      (.corrupt, "the scales of tensor 'w.qweight'", { $0.scales[3] = 0x7C00 }),
    ]
    for (code, words, change) in cases {
      var matrix = PackedMatrix(bits: 4, groupSize: 32, rows: 16, columns: 64)
      matrix.groups = (0..<64).map { $0 / 32 }
      change(&matrix)
      let error = #expect(throws: XverseError.self) { try matrix.imported() }
      #expect(error?.code == code)
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
  }

  @Test(
    "parameters are those of AutoGPTQ's file",
    arguments: [
      (#"{"bits": 4, "group_size": 128}"#, GPTQParameters(bits: 4, groupSize: 128)),
      (#"{"bits": 8, "group_size": -1, "desc_act": true}"#, GPTQParameters(bits: 8, groupSize: nil)),
      (
        #"{"bits": 4, "group_size": 32, "checkpoint_format": "gptq_v2"}"#,
        GPTQParameters(bits: 4, groupSize: 32, zeroOffset: 0)
      ),
    ])
  func readsParameters(json: String, expected: GPTQParameters) throws {
    #expect(try parameters(json) == expected)
  }

  @Test(
    "parameters that are not read are named",
    arguments: [
      (#"{"bits": 3, "group_size": 128}"#, XverseError.Code.unsupported, "'bits' is 3"),
      (#"{"bits": "4", "group_size": 128}"#, .corrupt, "'bits' is \"4\""),
      (#"{"group_size": 128}"#, .corrupt, "'bits' is missing"),
      (#"{"bits": 4}"#, .corrupt, "'group_size' is missing"),
      (#"{"bits": 4, "group_size": 0}"#, .corrupt, "'group_size' is 0"),
      (#"{"bits": 4, "group_size": -2}"#, .corrupt, "'group_size' is -2"),
      (#"{"bits": 4, "group_size": 9223372036854775808}"#, .limit, "'group_size'"),
      (#"{"bits": 4, "group_size": 32, "checkpoint_format": "marlin"}"#, .unsupported, "'checkpoint_format'"),
      ("[]", .corrupt, "expected an object"),
    ])
  func namesBadParameters(json: String, code: XverseError.Code, words: String) throws {
    let error = #expect(throws: XverseError.self) { try parameters(json) }
    #expect(error?.code == code)
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
  }

  private func parameters(_ json: String) throws(XverseError) -> GPTQParameters {
    let bytes = Array(json.utf8)
    let result = bytes.withUnsafeBytes { text -> Result<GPTQParameters, XverseError> in
      Result { () throws(XverseError) in
        try GPTQParameters(JSONFields(JSONDocument(text, source: "quantize_config.json").root))
      }
    }
    return try result.get()
  }
}

/// A matrix in the words of GPTQ, and the file that holds it.
private struct PackedMatrix {
  let bits: Int
  let rows: Int
  let columns: Int
  var parameters: GPTQParameters
  /// `[columns, rows]`, `[groups, rows]`, `[groups, rows]`.
  var codes: [Int]
  var zeros: [Int]
  var scales: [UInt16]
  var groups: [Int]?
  var scaleType = "F16"
  /// What the reader is told where that is not what was written.
  var expectedGroupSize: Int?
  var expectedBits: Int?
  var expectedRows: Int?

  struct Imported {
    let dtype: DType
    let values: [Float]
    let requantizedCount: Int
  }

  init(bits: Int, groupSize: Int?, rows: Int, columns: Int) {
    (self.bits, self.rows, self.columns) = (bits, rows, columns)
    parameters = GPTQParameters(bits: bits, groupSize: groupSize)
    var random = SeededRandom(seed: UInt64(bits + columns))
    let groupCount = parameters.groupCount(columns: columns)
    codes = (0..<columns * rows).map { _ in Int.random(in: 0..<1 << bits, using: &random) }
    // 8 bits: near the middle, so that every code less its zero point is a signed byte.
    zeros = (0..<groupCount * rows).map { _ in bits == 4 ? Int.random(in: 1...15, using: &random) : 128 }
    scales = (0..<groupCount * rows).map { _ in Float16(Float.random(in: 0.001...0.1, using: &random)).bitPattern }
  }

  private func group(_ column: Int) -> Int { groups?[column] ?? column / (parameters.groupSize ?? columns) }

  /// `[rows, columns]`.
  var values: [Float] {
    (0..<rows * columns).map { index in
      let (row, column) = index.quotientAndRemainder(dividingBy: columns)
      let place = group(column) * rows + row
      return Float(Float16(bitPattern: scales[place])) * Float(codes[column * rows + row] - zeros[place])
    }
  }

  private func pack(_ values: [Int]) -> [UInt8] {
    stride(from: 0, to: values.count, by: 32 / bits).flatMap { first in
      littleEndian((0..<32 / bits).reduce(UInt32(0)) { $0 | UInt32(values[first + $1]) << UInt32($1 * bits) })
    }
  }

  private var file: [UInt8] {
    let perWord = 32 / bits
    let groupCount = scales.count / rows
    // The codes of consecutive inputs share a word.
    let ordered = (0..<columns / perWord).flatMap { word in
      (0..<rows).flatMap { row in (0..<perWord).map { codes[(word * perWord + $0) * rows + row] } }
    }
    let tensors: [(String, String, [Int], [UInt8])] = [
      ("w.qweight", "I32", [columns / perWord, rows], pack(ordered)),
      ("w.qzeros", "I32", [groupCount, rows / perWord], pack(zeros.map { $0 - parameters.zeroOffset })),
      ("w.scales", scaleType, [groupCount, rows], scales.flatMap { littleEndian($0) }),
    ]
    let indices = groups.map { ("w.g_idx", "I32", [columns], $0.flatMap { littleEndian(Int32($0)) }) }
    var entries: [String] = []
    var data: [UInt8] = []
    for (name, dtype, shape, bytes) in tensors + [indices].compactMap(\.self) {
      entries.append(entry(name, dtype, shape, data.count, data.count + bytes.count))
      data += bytes
    }
    return safetensors("{\(entries.joined(separator: ","))}", data: data)
  }

  func imported() throws -> Imported {
    let checkpoint = try openFile(file)
    let kernels = try Kernels(threadCount: 1)
    let importer = WeightImporter(
      ComputeContext(kernels: kernels, allocator: .system))
    let matrix = try GPTQMatrix(
      codes: #require(try checkpoint.tensor(named: "w.qweight")),
      zeros: #require(try checkpoint.tensor(named: "w.qzeros")),
      scales: #require(try checkpoint.tensor(named: "w.scales")),
      groupIndices: try checkpoint.tensor(named: "w.g_idx"), rows: expectedRows ?? rows, columns: columns,
      GPTQParameters(
        bits: expectedBits ?? bits, groupSize: expectedGroupSize ?? parameters.groupSize,
        zeroOffset: parameters.zeroOffset))
    let weights = try importer.matrix(matrix)
    let arena = ScratchArena(allocator: .system)
    let floats = try arena.matrix(rows: rows, columns: columns)
    kernels.widen(weights, into: floats)
    return Imported(
      dtype: weights.dtype, values: Array(UnsafeBufferPointer(start: floats.data, count: rows * columns)),
      requantizedCount: importer.requantizedCount)
  }
}
