// GGUFTests.swift -- GGUF files: what the format allows is read.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseFormats

/// Two tensors and two keys.
func smallGGUF() -> GGUFFile {
  var file = GGUFFile()
  file["general.architecture"] = .string("llama")
  file["llama.block_count"] = .uint32(2)
  file.tensors = [
    GGUFFile.Tensor("b.weight", [3], values: [1, -2, 0.5]),
    GGUFFile.Tensor("a.weight", [2, 3], values: [1, 2, 3, 4, 5, 6]),
  ]
  return file
}

/// The description of a file with these bytes.
func describe(_ bytes: [UInt8], name: String = "x.gguf") throws -> GGUFDescription {
  let directory = try TemporaryDirectory()
  return try GGUFDescription(CheckpointLocation(path: directory.write(name, bytes)), allocator: .system)
}

@Suite("GGUF file")
struct GGUFTests {
  @Test("gives tensors with their rows first, and their numbers", arguments: [UInt32(2), 3])
  func readsTensors(version: UInt32) throws {
    let directory = try TemporaryDirectory()
    var file = smallGGUF()
    file.version = version

    let checkpoint = try open(directory.write("x.gguf", file.bytes))

    #expect(checkpoint.format == .gguf)
    #expect(checkpoint.tensorNames == ["a.weight", "b.weight"])
    let matrix = try #require(try checkpoint.tensor(named: "a.weight"))
    #expect(matrix.shape == [3, 2] && matrix.floats == [1, 2, 3, 4, 5, 6] && matrix.typeName == "f32")
    #expect(try checkpoint.tensor(named: "b.weight")?.floats == [1, -2, 0.5])
    #expect(checkpoint.byteCount == 36)
  }

  @Test("gives values of every type")
  func readsValues() throws {
    var file = GGUFFile()
    file["u8"] = .uint8(200)
    file["i8"] = .int8(-3)
    file["u16"] = .uint16(65_535)
    file["i16"] = .int16(-300)
    file["u32"] = .uint32(.max)
    file["i32"] = .int32(.min)
    file["u64"] = .uint64(.max)
    file["i64"] = .int64(-5)
    file["f32"] = .float32(0.1)
    file["f64"] = .float64(0.1)
    file["yes"] = .bool(true)
    file["text"] = .string("тест")
    file["texts"] = .strings(["a", "", "bc"])
    file["floats"] = .array(of: 6, [.float32(1.5), .float32(-2)])
    file["numbers"] = .array(of: 1, [.int8(-1), .int8(7)])

    let metadata = try describe(file.bytes).metadata

    let whole = [
      "u8": 200, "i8": -3, "u16": 65_535, "i16": -300, "u32": 4_294_967_295, "i32": -2_147_483_648, "i64": -5,
    ]
    for (key, value) in whole { #expect(metadata[key]?.integer == value, "\(key)") }
    #expect(metadata["u64"]?.integer == nil && metadata["u64"]?.description == "18446744073709551615")
    #expect(metadata["f32"]?.number == Double(Float(0.1)) && metadata["f64"]?.number == 0.1)
    #expect(metadata["yes"]?.bool == true && metadata["yes"]?.integer == nil)
    #expect(metadata["text"]?.string == "тест" && metadata["text"]?.number == nil)
    #expect(metadata["texts"]?.count == 3 && metadata["text"]?.count == nil)
    #expect(try texts(metadata["texts"]) == ["a", "", "bc"])
    var floats: [Float] = []
    #expect(try metadata["floats"]?.forEachFloat { floats.append($0) } == true)
    #expect(floats == [1.5, -2])
    var numbers: [Int] = []
    #expect(try metadata["numbers"]?.forEachInteger { numbers.append($0) } == true)
    #expect(numbers == [-1, 7])
    #expect(try metadata["floats"]?.forEachText { _ in } == false)
    #expect(try metadata["texts"]?.forEachFloat { _ in } == false)
    #expect(metadata["none"] == nil && metadata[""] == nil)
  }

  private func texts(_ value: GGUFValue?) throws -> [String] {
    var texts: [String] = []
    _ = try value?.forEachText { texts.append(String(decoding: $0, as: UTF8.self)) }
    return texts
  }

  @Test("follows general.alignment", arguments: [1, 8, 64, 65_536])
  func followsAlignment(alignment: Int) throws {
    let directory = try TemporaryDirectory()
    var file = smallGGUF()
    file["general.alignment"] = .uint32(UInt32(alignment))
    file.alignment = alignment

    let checkpoint = try open(directory.write("x.gguf", file.bytes))

    #expect(try checkpoint.tensor(named: "a.weight")?.floats == [1, 2, 3, 4, 5, 6])
  }

  @Test("takes tensors in any order of their descriptions, and a file without the last padding")
  func takesAnyOrder() throws {
    let directory = try TemporaryDirectory()
    var file = smallGGUF()
    file.tensors[0].offset = 0
    file.tensors[1].offset = 32
    file.tensors.reverse()
    var bytes = file.header
    bytes += [UInt8](repeating: 0, count: -bytes.count & 31)
    bytes += file.tensors[1].data + [UInt8](repeating: 0, count: 20) + file.tensors[0].data

    let checkpoint = try open(directory.write("x.gguf", bytes))

    #expect(try checkpoint.tensor(named: "b.weight")?.floats == [1, -2, 0.5])
    #expect(try checkpoint.tensor(named: "a.weight")?.floats == [1, 2, 3, 4, 5, 6])
  }

  @Test("reads a header that is longer than its first part, and none of the data")
  func readsLongHeader() throws {
    let directory = try TemporaryDirectory()
    var file = smallGGUF()
    file["tokenizer.ggml.tokens"] = .strings((0..<200_000).map { "token \($0)" })
    let path = try directory.write("x.gguf", file.bytes)
    let host = CountingHost()
    let allocator = MemoryAllocator(host)

    let description = try GGUFDescription(CheckpointLocation(path: path), allocator: allocator)

    #expect(description.metadata["tokenizer.ggml.tokens"]?.count == 200_000)
    #expect(description.hasTensor(named: "a.weight") && !description.hasTensor(named: "c.weight"))
    #expect(allocator.peak < 3 * file.bytes.count + 3 << 20)
  }

  @Test("reads a model in parts, and says which one is missing or wrong")
  func readsParts() throws {
    let directory = try TemporaryDirectory()
    let parts = smallGGUF().tensors.enumerated().map { index, tensor in
      var part = GGUFFile()
      part["general.architecture"] = .string("llama")
      part["split.no"] = .uint16(UInt16(index))
      part["split.count"] = .uint16(2)
      part.tensors = [tensor]
      return part.bytes
    }
    let first = try directory.write("m-00001-of-00002.gguf", parts[0])

    let missing = #expect(throws: XverseError.self) { try open(first) }
    try directory.write("m-00002-of-00002.gguf", parts[1])
    let checkpoint = try open(first)
    let whole = try open(directory.path)
    let second = #expect(throws: XverseError.self) { try open(directory.path + "/m-00002-of-00002.gguf") }
    let renamed = #expect(throws: XverseError.self) { try describe(parts[0]) }
    try directory.write("m-00002-of-00002.gguf", parts[0])
    let twice = #expect(throws: XverseError.self) { try open(first) }

    #expect(missing?.code == .notFound && missing?.message.contains("m-00002-of-00002.gguf") == true)
    #expect(checkpoint.tensorNames == ["a.weight", "b.weight"] && whole.tensorNames == checkpoint.tensorNames)
    #expect(second?.code == .invalid && second?.message.contains("expected the path of part 1") == true)
    #expect(renamed?.code == .unsupported && renamed?.message.contains("'split.count' is 2, expected 1") == true)
    #expect(twice?.code == .corrupt && twice?.message.contains("'split.no' is 0, expected 1") == true)
  }
}
