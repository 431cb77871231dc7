// SafetensorsTests.swift -- single files: what the format allows is read, everything else is named.

import Glibc
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseFormats

@Suite("Safetensors file")
struct SafetensorsTests {
  @Test("gives the tensors of each type with their shapes and numbers", arguments: [MappedFile.Mode.map, .read])
  func readsTensors(mode: MappedFile.Mode) throws {
    let floats: [Float] = [1, -2.5, 0.15625, 65504, 0x1p-24, 0]
    let data =
      floats.flatMap { littleEndian($0.bitPattern) }
      + [0x3C00, 0xC100, 0x3100, 0x7BFF, 0x0001, 0x8000].flatMap { littleEndian($0 as UInt16) }
      + [0x3F80, 0xC020, 0x3E20].flatMap { littleEndian($0 as UInt16) }
    let header = [
      "\"__metadata__\":{\"format\":\"pt\",\"\":\"\"}", entry("b.f32", "F32", [2, 3], 0, 24),
      entry("c", "BF16", [3], 36, 42), entry("a\\n\\u00e9", "F16", [6, 1], 24, 36),
    ]

    let checkpoint = try openFile(safetensors("{\(header.joined(separator: ","))}", data: data), mode)

    #expect(checkpoint.format == .safetensors)
    #expect(checkpoint.tensorNames == ["a\n\u{E9}", "b.f32", "c"])
    #expect(checkpoint.byteCount == 42)
    let f32 = try #require(try checkpoint.tensor(named: "b.f32"))
    #expect(f32.dtype == .float32 && f32.shape == [2, 3] && f32.byteCount == 24 && f32.fileName == "x.safetensors")
    #expect(f32.floats == floats)
    let f16 = try #require(try checkpoint.tensor(named: "a\n\u{E9}"))
    #expect(f16.dtype == .float16 && f16.shape == [6, 1])
    #expect(f16.floats == floats)
    #expect(try checkpoint.tensor(named: "c")?.floats == [1, -2.5, 0.15625])
    #expect(try checkpoint.tensor(named: "b") == nil)
    #expect(try checkpoint.tensor(named: "") == nil)
  }

  @Test("puts the data at any alignment", arguments: 0..<9)
  func readsUnalignedData(padding: Int) throws {
    let header = "{\(entry("w", "F32", [2], 0, 8))}"
    let data = littleEndian(Float(3).bitPattern) + littleEndian(Float(-4).bitPattern)

    let checkpoint = try openFile(safetensors(header, data: data, padding: padding))

    #expect(try checkpoint.tensor(named: "w")?.floats == [3, -4])
  }

  @Test("knows scalars, tensors without elements and files without tensors")
  func readsDegenerateTensors() throws {
    let header = [
      entry("empty", "F32", [0, 5], 0, 0), entry("scalar", "F32", [], 0, 4), entry("end", "F16", [3, 0], 4, 4),
    ]

    let checkpoint = try openFile(
      safetensors("{\(header.joined(separator: ","))}", data: littleEndian(Float(9).bitPattern)))

    let empty = try #require(try checkpoint.tensor(named: "empty"))
    #expect(empty.shape == [0, 5] && empty.byteCount == 0)
    let scalar = try #require(try checkpoint.tensor(named: "scalar"))
    #expect(scalar.shape == [] && scalar.floats == [9])
    #expect(try checkpoint.tensor(named: "end")?.byteCount == 0)
    #expect(try openFile(safetensors("{}")).tensorNames.isEmpty)
  }

  @Test(
    "lists tensors of types that no weight has, and rejects one only when it is asked for",
    arguments: [
      ("I64", 8), ("F64", 8), ("C64", 8), ("I32", 4), ("BOOL", 1), ("U8", 1), ("F8_E4M3", 1), ("F8_E8M0", 1),
    ])
  func listsOtherTypes(dtype: String, size: Int) throws {
    let header = "{\(entry("ids", dtype, [2], 0, 2 * size)),\(entry("w", "F32", [1], 2 * size, 2 * size + 4))}"

    let checkpoint = try openFile(safetensors(header, data: [UInt8](repeating: 0, count: 2 * size + 4)))

    #expect(checkpoint.tensorNames == ["ids", "w"])
    #expect(try checkpoint.tensor(named: "w")?.floats == [0])
    let error = #expect(throws: XverseError.self) { try checkpoint.tensor(named: "ids")?.requireWeights() }
    #expect(error?.code == .unsupported)
    let fault = "x.safetensors: tensor 'ids' has dtype \(dtype) and shape [2], expected F32, F16 or BF16, or blocks of"
    #expect(error?.message.hasPrefix(fault) == true)
  }

  @Test(
    "takes bytes in the shape of blocks for quantized types",
    arguments: [
      ([2, 3, 544], DType.int8, 3072), ([1, 1, 288], .int4, 512), ([0, 7, 288], .int4, 0),
      ([2, 1, 304], .int4F16, 1024),
    ])
  func readsBlocks(shape: [Int], dtype: DType, elementCount: Int) throws {
    let size = shape.reduce(1, *)
    let header = "{\(entry("w", "U8", shape, 0, size))}"

    let tensor = try openFile(safetensors(header, data: [UInt8](repeating: 7, count: size))).tensor(named: "w")

    #expect(tensor?.dtype == dtype && tensor?.shape == shape && tensor?.byteCount == size)
    #expect(tensor?.elementCount == elementCount)
  }

  @Test(
    "rejects bytes in other shapes when they are asked for",
    arguments: [[288], [1, 288], [1, 1, 287], [1, 1, 1, 288], [288, 1, 1], [1, 544, 1], []])
  func rejectsOtherBytes(shape: [Int]) throws {
    let size = shape.reduce(1, *)
    let checkpoint = try openFile(
      safetensors("{\(entry("w", "U8", shape, 0, size))}", data: [UInt8](repeating: 0, count: size)))

    let error = #expect(throws: XverseError.self) { try checkpoint.tensor(named: "w")?.requireWeights() }

    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("'w' has dtype U8 and shape \(shape), expected") == true)
  }

  // As many blocks as a shape can name without a byte: their elements would pass Int.
  @Test("a tensor without bytes has no elements, whatever its shape says")
  func countsNoElements() throws {
    let checkpoint = try openFile(safetensors("{\(entry("w", "U8", [1 << 59, 0, 288], 0, 0))}"))

    #expect(try checkpoint.tensor(named: "w")?.elementCount == 0)
  }

  @Test("counts bits for types below a byte")
  func countsBits() throws {
    let checkpoint = try openFile(
      safetensors("{\(entry("a", "F4", [4], 0, 2)),\(entry("b", "F6_E2M3", [4], 2, 5))}", data: [1, 2, 3, 4, 5]))

    #expect(checkpoint.byteCount == 5)
  }

  @Test("rejects a file without room for a header", arguments: 1..<8)
  func rejectsShortFile(length: Int) {
    let error = #expect(throws: XverseError.self) { try openFile([UInt8](repeating: 0, count: length)) }

    #expect(
      error == .corrupt("x.safetensors: the file has \(length) bytes, expected at least 8 of a safetensors header"))
  }

  @Test(
    "rejects a header length of nothing, or beyond the file", arguments: [0, 3, 1 << 40, 1 << 63, .max] as [UInt64])
  func rejectsHeaderLength(length: UInt64) {
    let error = #expect(throws: XverseError.self) { try openFile(littleEndian(length) + Array("{}".utf8)) }

    let expected = "x.safetensors: the header length is \(length), expected 1 to 2 in a file of 10 bytes"
    #expect(error == .corrupt(expected, offset: 0))
  }

  @Test("rejects a header longer than the format allows, although the file is longer, and reads none of it")
  func rejectsGiantHeader() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("x.safetensors", littleEndian(UInt64(100_000_001)) + Array("{".utf8))
    truncate(path, 200_000_000)
    let allocator = MemoryAllocator()

    let error = #expect(throws: XverseError.self) { try open(path, .read, allocator) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("the header length is 100000001, expected 1 to 100000000") == true)
    #expect(allocator.peak == 0)
  }

  @Test(
    "rejects what is no JSON object, with the fault's byte in the file",
    arguments: [
      (" {}", "the header begins with byte 32, expected '{'", 8),
      ("[]", "the header begins with byte 91, expected '{'", 8),
      ("{\"a\":}", "expected a value at byte 13", 13),
      ("{}x", "text after the JSON value at byte 10", 10),
      ("{}\u{0}", "text after the JSON value at byte 10", 10),
      ("{\"a\":1", "expected ',' or '}' at byte 14", 14),
      ("{\"a\":1,\"\\u0061\":1}", "duplicate key '\\u0061' at byte 16", 16),
    ])
  func rejectsMalformedHeader(header: String, fault: String, offset: Int) {
    let error = #expect(throws: XverseError.self) { try openFile(safetensors(header)) }

    #expect(error == .corrupt("x.safetensors: \(fault)", offset: offset))
  }

  @Test("rejects a header that is not UTF-8")
  func rejectsInvalidUTF8() {
    let header = Array("{\"a".utf8) + [0xC0, 0x80] + Array("\":1}".utf8)

    let error = #expect(throws: XverseError.self) { try openFile(safetensors(header)) }

    #expect(error == .corrupt("x.safetensors: invalid UTF-8 in a string at byte 11", offset: 11))
  }

  @Test("rejects deep nesting in a header")
  func rejectsDeepNesting() {
    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\"a\":" + String(repeating: "[", count: 100_000)))
    }

    #expect(error?.code == .limit)
  }

  @Test(
    "rejects metadata that are not strings",
    arguments: [
      ("[]", "'__metadata__' is an array, expected an object of strings"),
      ("\"pt\"", "'__metadata__' is a string, expected an object of strings"),
      ("{\"format\":1}", "'format' of '__metadata__' is a number, expected a string"),
    ])
  func rejectsMetadata(metadata: String, fault: String) {
    let error = #expect(throws: XverseError.self) { try openFile(safetensors("{\"__metadata__\":\(metadata)}")) }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "x.safetensors: \(fault)")
  }

  @Test(
    "rejects a tensor that cannot be, naming it",
    arguments: [
      ("1", "is a number, expected an object"),
      ("{\"shape\":[1],\"data_offsets\":[0,4]}", "has no 'dtype' that is a string"),
      ("{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}", "has no 'dtype' that is a string"),
      ("{\"dtype\":\"F32\",\"data_offsets\":[0,4]}", "has no 'shape' that is an array"),
      ("{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}", "has no 'shape' that is an array"),
      ("{\"dtype\":\"F32\",\"shape\":[1]}", "has no 'data_offsets' that are an array"),
      (
        "{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]}",
        "has shape [4611686018427387904, 4] of F32, which is no number of bytes"
      ),
      ("{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,1]}", "has shape [1] of F4, which is no number of bytes"),
      (
        "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}",
        "has 4 bytes of data, expected 8 for shape [2] of F32"
      ),
      (
        "{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]}",
        "has 4 bytes of data, expected 2 for shape [1] of F16"
      ),
    ])
  func rejectsTensor(value: String, fault: String) {
    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\"w\":\(value)}", data: [0, 0, 0, 0]))
    }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "x.safetensors: tensor 'w' \(fault)")
  }

  @Test("rejects a dimension that is no size", arguments: ["-1", "1.5", "\"1\"", "null", "[1]", "9223372036854775808"])
  func rejectsDimension(dimension: String) {
    let value = "{\"dtype\":\"F32\",\"shape\":[1,\(dimension)],\"data_offsets\":[0,4]}"

    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\"w\":\(value)}", data: [0, 0, 0, 0]))
    }

    #expect(error?.code == .corrupt)
    #expect(
      error?.message
        == "x.safetensors: tensor 'w' has dimension \(dimension), expected an integer of at least 0")
  }

  @Test(
    "rejects data offsets that are no range in the data",
    arguments: [
      "[4, 0]", "[-4, 0]", "[0]", "[]", "[0, 4, 8]", "[0, 4.0]", "[\"0\", 4]",
      "[0, 9223372036854775808]", "[-9223372036854775808, 4]", "[null, 4]",
    ])
  func rejectsOffsets(offsets: String) {
    let value = "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":\(offsets)}"

    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\"w\":\(value)}", data: [0, 0, 0, 0]))
    }

    #expect(error?.code == .corrupt)
    let snippet = offsets.utf8.count > 40 ? offsets.prefix(40) + "..." : offsets[...]
    #expect(
      error?.message == "x.safetensors: tensor 'w' has data_offsets \(snippet), "
        + "expected [begin, end] with 0 <= begin <= end <= 4")
  }

  @Test(
    "rejects a tensor that ends behind the file",
    arguments: [
      ("[0, 5]", 5), ("[5, 5]", 5), ("[0, 9223372036854775807]", Int.max),
      ("[9223372036854775807, 9223372036854775807]", Int.max),
    ])
  func rejectsEnds(offsets: String, end: Int) {
    let value = "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":\(offsets)}"

    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\"w\":\(value)}", data: [0, 0, 0, 0]))
    }

    #expect(error?.code == .corrupt)
    #expect(
      error?.message
        == "x.safetensors: tensor 'w' ends at byte \(end) of the data, expected at most 4: the file is truncated")
  }

  @Test("rejects an unknown type, naming it and the tensor")
  func rejectsUnknownType() {
    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\(entry("w", "F33", [1], 0, 4))}", data: [0, 0, 0, 0]))
    }

    #expect(error == .unsupported("x.safetensors: tensor 'w' has dtype 'F33', which is not known"))
  }

  @Test(
    "rejects data with an overlap, a hole or a rest",
    arguments: [
      ([("a", 0, 8), ("b", 4, 12)], "tensor 'b' begins at byte 4 of the data, expected 8"),
      ([("b", 4, 12), ("a", 0, 12)], "tensor 'b' begins at byte 4 of the data, expected 12"),
      ([("a", 0, 4), ("b", 8, 12)], "tensor 'b' begins at byte 8 of the data, expected 4"),
      ([("a", 4, 12)], "tensor 'a' begins at byte 4 of the data, expected 0"),
      ([("a", 0, 12), ("b", 0, 12)], "begins at byte 0 of the data, expected 12"),
      ([("a", 0, 12), ("b", 4, 4)], "tensor 'b' begins at byte 4 of the data, expected 12"),
      ([("a", 0, 8)], "the tensors end at byte 8 of the data, expected 12"),
      ([], "the tensors end at byte 0 of the data, expected 12"),
    ])
  func rejectsLayout(tensors: [(name: String, begin: Int, end: Int)], fault: String) {
    let header = tensors.map { entry($0.name, "F32", [($0.end - $0.begin) / 4], $0.begin, $0.end) }

    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\(header.joined(separator: ","))}", data: [UInt8](repeating: 0, count: 12)))
    }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains(fault) == true)
  }

  @Test("rejects a truncated file: the end of the data is missing")
  func rejectsTruncatedFile() {
    let bytes = safetensors("w", [1, 2, 3])

    let error = #expect(throws: XverseError.self) { try openFile(bytes.dropLast()) }

    #expect(error?.code == .corrupt)
    #expect(
      error?.message
        == "x.safetensors: tensor 'w' ends at byte 12 of the data, expected at most 11: the file is truncated")
  }

  @Test("says what a Git LFS pointer is")
  func recognizesPointer() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 14599796384\n"

    let error = #expect(throws: XverseError.self) { try openFile(Array(pointer.utf8)) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("git lfs pull") == true)
  }

  @Test("rejects more dimensions than any weight has")
  func limitsRank() throws {
    _ = try openFile(safetensors("{\(entry("w", "U8", Array(repeating: 1, count: 8), 0, 1))}", data: [0]))

    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\(entry("w", "U8", Array(repeating: 1, count: 9), 0, 1))}", data: [0]))
    }

    #expect(error?.code == .limit)
    #expect(error?.message == "x.safetensors: tensor 'w' has more than 8 dimensions")
  }

  @Test("rejects more tensors than any checkpoint has")
  func limitsTensorCount() {
    let header = (0...TensorTable.maximumCount).map { entry("\($0)", "U8", [0], 0, 0) }

    let error = #expect(throws: XverseError.self) {
      try openFile(safetensors("{\(header.joined(separator: ","))}"))
    }

    #expect(error?.code == .limit)
    #expect(error?.message == "x.safetensors: more than 100000 tensors")
  }

  @Test("names a hostile tensor on one short line")
  func showsHostileName() {
    let name = "\\n\\u001b[31m" + String(repeating: "x", count: 10_000)

    let error = #expect(throws: XverseError.self) { try openFile(safetensors("{\"\(name)\":1}")) }

    #expect(error?.message.hasPrefix("x.safetensors: tensor '\\u{a}\\u{1b}[31mxxx") == true)
    #expect((error?.message.count ?? .max) < 300)
  }

  @Test("never traps on mutated bytes", arguments: 0..<8 as Range<UInt64>)
  func survivesMutations(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let directory = try TemporaryDirectory()
    let header = "{\(entry("a", "F32", [2, 2], 0, 16)),\(entry("b", "BF16", [4], 16, 24))}"
    let bytes = safetensors(header, data: [UInt8](repeating: 1, count: 24))
    for _ in 0..<150 {
      var mutated = bytes
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        mutated[Int.random(in: 0..<mutated.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      let path = try directory.write("x.safetensors", mutated.prefix(.random(in: 90...bytes.count, using: &random)))
      do {
        let checkpoint = try open(path)
        // What is accepted must be whole.
        #expect(checkpoint.byteCount == 24)
        for name in checkpoint.tensorNames { _ = try? checkpoint.tensor(named: name)?.floats }
      } catch {
        #expect([.corrupt, .unsupported, .limit].contains(error.code))
        #expect(error.message.hasPrefix("x.safetensors: "))
      }
    }
  }
}
