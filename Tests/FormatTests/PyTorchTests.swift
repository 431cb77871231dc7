// PyTorchTests.swift -- files of torch.save as checkpoints: which views are read, what is refused and in which words.

import Foundation
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseFormats

@Suite("PyTorch file")
struct PyTorchTests {
  @Test("gives the tensors with their shapes and numbers", arguments: [MappedFile.Mode.map, .read])
  func readsTensors(mode: MappedFile.Mode) throws {
    var file = PyTorchFile(["b.weight": [1, -2.5, 3, 4, 5, 6], "a": [7]])
    file.tensors[0].shape = [2, 3]
    file.tensors[0].strides = [3, 1]

    let checkpoint = try openPyTorch(file.bytes, mode)

    #expect(checkpoint.format == .pytorch)
    #expect(checkpoint.tensorNames == ["a", "b.weight"])
    #expect(checkpoint.byteCount == 28)
    let tensor = try #require(try checkpoint.tensor(named: "b.weight"))
    #expect(tensor.dtype == .float32 && tensor.shape == [2, 3] && tensor.fileName == "x.bin")
    #expect(tensor.floats == [1, -2.5, 3, 4, 5, 6])
    #expect(try checkpoint.tensor(named: "a")?.floats == [7])
  }

  @Test(
    "knows the types of storages",
    arguments: [
      ("HalfStorage", "f16", 2), ("BFloat16Storage", "bf16", 2), ("DoubleStorage", "F64", 8), ("LongStorage", "I64", 8),
      ("IntStorage", "I32", 4), ("ShortStorage", "I16", 2), ("CharStorage", "I8", 1), ("ByteStorage", "U8", 1),
      ("BoolStorage", "BOOL", 1), ("ComplexFloatStorage", "C64", 8),
    ])
  func readsTypes(storage: String, type: String, size: Int) throws {
    var file = PyTorchFile()
    file.storages = [("0", [UInt8](repeating: 1, count: 3 * size))]
    file.tensors = [PyTorchFile.Tensor("w", [3], storage: "0", count: 3)]
    file.tensors[0].storageType = storage

    let checkpoint = try openPyTorch(file)

    let tensor = try checkpoint.tensor(named: "w")
    #expect(tensor?.typeName == type && tensor?.byteCount == 3 * size)
  }

  /// Views of a storage that holds 0, 1, 2 ... 11.
  @Test(
    "reads views by offset and strides",
    arguments: [
      ([4], [1], 8, [8, 9, 10, 11]), ([2, 3], [3, 1], 3, [3, 4, 5, 6, 7, 8]),
      ([3, 2], [1, 3], 0, [0, 3, 1, 4, 2, 5]),
      ([2, 2], [4, 1], 1, [1, 2, 5, 6]), ([3], [4], 2, [2, 6, 10]), ([2, 3], [0, 1], 4, [4, 5, 6, 4, 5, 6]),
      ([2, 1, 2], [2, 9, 1], 0, [0, 1, 2, 3]), ([1, 4], [99, 1], 0, [0, 1, 2, 3]), ([], [], 11, [11]),
      ([2, 2, 2], [1, 2, 4], 0, [0, 4, 2, 6, 1, 5, 3, 7]), ([0, 5], [5, 1], 12, []), ([2], [1], 0, [0, 1]),
    ] as [([Int], [Int], Int, [Float])])
  func readsViews(shape: [Int], strides: [Int], offset: Int, values: [Float]) throws {
    var file = PyTorchFile()
    file.add(storage: (0..<12).map(Float.init))
    file.tensors = [PyTorchFile.Tensor("w", shape, strides: strides, storage: "0", count: 12)]
    file.tensors[0].offset = offset

    let checkpoint = try openPyTorch(file)

    let tensor = try #require(try checkpoint.tensor(named: "w"))
    #expect(tensor.shape == shape && tensor.stridedFloats == values)
  }

  @Test("takes a row-major view for one, whatever the strides of dimensions of size 1")
  func mapsRowMajorViews() throws {
    var file = PyTorchFile()
    file.add(storage: (0..<12).map(Float.init))
    file.tensors = [
      PyTorchFile.Tensor("mapped", [1, 3, 1, 2], strides: [77, 2, 5, 1], storage: "0", count: 12),
      PyTorchFile.Tensor("strided", [3, 2], strides: [4, 1], storage: "0", count: 12),
    ]

    let checkpoint = try openPyTorch(file)

    #expect(try checkpoint.tensor(named: "mapped")?.dtype == .float32)
    let strided = try #require(try checkpoint.tensor(named: "strided"))
    #expect(strided.dtype == nil && strided.strides == [4, 1] && strided.byteCount == 40)
  }

  @Test("gives tied weights the same bytes, and reads parameters as their tensors")
  func readsTiedWeights() throws {
    var file = PyTorchFile(["a": [1, 2]])
    file.tensors.append(file.tensors[0])
    file.tensors[1].name = "b"
    file.tensors[1].isParameter = true

    let checkpoint = try openPyTorch(file)

    let (a, b) = (try #require(try checkpoint.tensor(named: "a")), try #require(try checkpoint.tensor(named: "b")))
    #expect(a.data == b.data && b.floats == [1, 2])
  }

  @Test("finds the tensors of all shards, and config.json beside a single file")
  func readsShards() throws {
    let directory = try modelDirectory([
      "pytorch_model.bin.index.json": shardIndex(["a": "2.bin", "b": "1.bin"]),
      "1.bin": PyTorchFile(["b": [1, 2]]).bytes, "2.bin": PyTorchFile(["a": [3]]).bytes,
    ])

    let checkpoint = try open(directory.path)

    #expect(checkpoint.tensorNames == ["a", "b"])
    #expect(try checkpoint.tensor(named: "b")?.floats == [1, 2])
    #expect(try checkpoint.tensor(named: "a")?.fileName == "2.bin")
    #expect(try open(directory.path + "/1.bin").tensorNames == ["b"])
    #expect(try CheckpointLocation(path: directory.path + "/1.bin").companion("config.json", maximumLength: 2) != nil)
  }

  @Test("prefers safetensors in a directory that has both")
  func prefersSafetensors() throws {
    let directory = try modelDirectory([
      "pytorch_model.bin": PyTorchFile(["a": [1]]).bytes, "model.safetensors": safetensors("b", [1]),
    ])

    #expect(try open(directory.path).tensorNames == ["b"])
  }

  @Test(
    "gives the tensors of a real model that torch wrote, byte for byte as its safetensors do",
    .enabled(if: SharedData.isAvailable))
  func agreesWithSafetensors() throws {
    let model = "data/stories260k-xverse/"
    let expected = try open(SharedData.file(model + "hf-bf16"))
    let checkpoint = try open(SharedData.file(model + "hf-bf16-bin"))

    #expect(Set(checkpoint.tensorNames).isSuperset(of: expected.tensorNames))
    for name in expected.tensorNames {
      let (left, right) = (try expected.tensor(named: name), try checkpoint.tensor(named: name))
      let (a, b) = (try #require(left), try #require(right))
      #expect(a.dtype == b.dtype && a.shape == b.shape && a.byteCount == b.byteCount)
      #expect(memcmp(a.data, b.data, a.byteCount) == 0, "\(name)")
    }
  }

  // MARK: what is refused

  @Test(
    "refuses a view that its storage does not hold",
    arguments: [
      ([13], [1], 0), ([4], [1], 9), ([2, 6], [7, 1], 0), ([0], [1], 13), ([4], [1], .max), ([1], [1], 12),
      ([-1], [1], 0), ([2], [-1], 5), ([4], [1], -1), ([1], [-7], 0), ([2, 2], [.min, .min], 0),
    ] as [([Int], [Int], Int)])
  func refusesViews(shape: [Int], strides: [Int], offset: Int) {
    var file = PyTorchFile()
    file.add(storage: (0..<12).map(Float.init))
    file.tensors = [PyTorchFile.Tensor("w", shape, strides: strides, storage: "0", count: 12)]
    file.tensors[0].offset = offset

    let error = refusal(file)

    #expect(error?.code == .corrupt)
    let place = "x.bin: tensor 'w' has shape \(shape), strides \(strides) and offset \(offset), expected "
    #expect(error?.message.hasPrefix(place) == true, "\(error?.message ?? "")")
  }

  @Test(
    "refuses a view of more elements than can be counted",
    arguments: [
      ([1 << 62, 4], [0, 0]), ([.max], [0]), ([2], [.max]), ([1 << 41], [0]), ([3, 3], [.max / 2, .max / 2]),
    ] as [([Int], [Int])])
  func limitsViews(shape: [Int], strides: [Int]) {
    var file = PyTorchFile()
    file.add(storage: [1])
    file.tensors = [PyTorchFile.Tensor("w", shape, strides: strides, storage: "0", count: 1)]

    #expect(refusal(file)?.code == .limit)
  }

  @Test("refuses a storage of another size than the pickle says", arguments: [0, 1, 11, 13, -12, .max, 1 << 62])
  func refusesStorageSizes(count: Int) {
    var file = PyTorchFile()
    file.add(storage: (0..<12).map(Float.init))
    file.tensors = [PyTorchFile.Tensor("w", [1], storage: "0", count: count)]

    let expected = "x.bin: tensor 'w' lies in storage '0' of 48 bytes, expected \(count) elements of F32"
    #expect(refusal(file) == .corrupt(expected))
  }

  @Test("refuses a storage that is not there", arguments: ["1", "", "../0", String(repeating: "0", count: 10_000)])
  func refusesMissingStorage(name: String) {
    var file = PyTorchFile(["w": [1]])
    file.tensors[0].storage = name

    let error = refusal(file)

    let place = "x.bin: tensor 'w' lies in storage '\(name.prefix(64))', which the zip archive does not have"
    #expect(error == .corrupt(place))
  }

  @Test("refuses numbers that are stored negated")
  func refusesNegatedView() {
    var file = PyTorchFile(["w": [1]])
    file.tensors[0].isNegated = true

    let error = refusal(file)

    #expect(error?.code == .unsupported)
    #expect(error?.message.hasPrefix("x.bin: tensor 'w' is stored negated or conjugated") == true)
  }

  @Test("refuses two tensors of one name, a name that is no text, and one that is a text of its own")
  func refusesNames() {
    let twice = refusal(PyTorchFile(["w": [1], "w": [2]]))
    var long = PyTorchFile(["w": [1]])
    long.tensors[0].name = String(repeating: "x", count: 1025)
    let longName = refusal(long)
    let notText = refusal(pickle: { writer in
      writer.add("}")
      writer.add("X", [1, 0, 0, 0, 0xFF])
      writer.add(PyTorchFile.Tensor("w", [1], storage: "0", count: 1))
      writer.add("s")
    })

    #expect(twice == .corrupt("x.bin: tensor 'w' stands there twice"))
    #expect(longName?.code == .limit)
    #expect(notText?.code == .corrupt && notText?.message.hasSuffix("has a name that is not UTF-8") == true)
  }

  @Test("refuses big-endian numbers", arguments: ["big", "", "little\n", String(repeating: "x", count: 100)])
  func refusesByteOrder(text: String) {
    var file = PyTorchFile(["w": [1]])
    file.byteOrder = text

    #expect(refusal(file)?.code == .unsupported)
  }

  @Test("takes a file without a note of its byte order, as older ones are")
  func takesMissingByteOrder() throws {
    var file = PyTorchFile(["w": [1]])
    file.byteOrder = nil

    let checkpoint = try openPyTorch(file)

    #expect(try checkpoint.tensor(named: "w")?.floats == [1])
  }

  @Test("names the dictionary that holds the tensors, when it is not the outer one")
  func namesInnerDictionary() {
    let error = refusal(pickle: { writer in
      writer.add("}")
      writer.add(text: "model")
      writer.add("}")
      writer.add(text: "w")
      writer.add(PyTorchFile.Tensor("w", [1], storage: "0", count: 1))
      writer.add("s")
      writer.add("s")
    })

    #expect(error?.code == .unsupported)
    #expect(error?.message.hasPrefix("x.bin: data.pkl holds its tensors in 'model', expected them by") == true)
  }

  // MARK: other formats

  @Test(
    "says what other files called .bin are",
    arguments: [
      ([0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E], "before PyTorch 1.6"),
      ([UInt8](repeating: 0x41, count: 257) + Array("ustar  \u{0}".utf8), "the tar format"),
      ([0x80, 4, 0x7D, 0x2E], "a pickle without tensors' data"), ([0x80, 2, 0x71], "a pickle without tensors' data"),
    ])
  func namesOldFormats(bytes: [UInt8], words: String) {
    let error = #expect(throws: XverseError.self) { try openPyTorch(bytes) }

    #expect(error?.code == .unsupported)
    #expect(error?.message.hasPrefix("x.bin: this is ") == true && error?.message.contains(words) == true)
  }

  @Test("refuses what is no file of PyTorch's", arguments: ["\u{0}\u{0}", "P", "PK\u{5}\u{6}"])
  func refusesOtherFiles(text: String) {
    let error = #expect(throws: XverseError.self) { try openPyTorch(Array(text.utf8)) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.hasPrefix("x.bin: the file begins with bytes [") == true)
  }

  @Test("says what a Git LFS pointer is")
  func recognizesPointer() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 14599796384\n"

    let error = #expect(throws: XverseError.self) { try openPyTorch(Array(pointer.utf8)) }

    #expect(error?.code == .corrupt && error?.message.contains("git lfs pull") == true)
  }

  @Test("a plain pickle that asks for a function is unsafe, and says which", arguments: [nil, 2] as [UInt8?])
  func refusesPlainPickle(version: UInt8?) {
    var writer = PickleWriter(version: version)
    writer.add(global: "os", "system")

    let error = #expect(throws: XverseError.self) { try openPyTorch(writer.bytes + Array("(S'id'\ntR.".utf8)) }

    #expect(error?.code == .unsafe)
    #expect(error?.message.hasPrefix("x.bin asks for 'os.system' at byte ") == true)
  }

  // MARK: broken files

  @Test("a file cut anywhere is refused, naming it")
  func survivesTruncation() throws {
    let bytes = PyTorchFile(["a": [1, 2], "b": [3]]).bytes
    let directory = try TemporaryDirectory()
    for length in 1..<bytes.count {
      let path = try directory.write("x.bin", bytes.prefix(length))
      let error = #expect(throws: XverseError.self) { try open(path) }
      #expect(error?.code == .corrupt && error?.message.hasPrefix("x.bin: ") == true)
    }
  }

  @Test("never traps on mutated bytes", arguments: 0..<8 as Range<UInt64>)
  func survivesMutations(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let directory = try TemporaryDirectory()
    var file = PyTorchFile(["a": [1, 2], "b": [3]])
    // The check sum would end most attempts.
    file.change = { $0.entries[0].checksum = 0 }
    let bytes = file.bytes
    for _ in 0..<200 {
      var mutated = bytes
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        mutated[Int.random(in: 0..<mutated.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      let path = try directory.write("x.bin", mutated)
      do {
        let checkpoint = try open(path)
        for name in checkpoint.tensorNames { _ = try? checkpoint.tensor(named: name)?.floats }
      } catch {
        #expect([.corrupt, .unsupported, .limit, .unsafe].contains(error.code))
        #expect(error.message.hasPrefix("x.bin"), "\(error.message)")
      }
    }
  }

  @Test("holds nothing after memory has run out anywhere, and takes no more than the file deserves")
  func survivesLackOfMemory() throws {
    let directory = try TemporaryDirectory()
    let bytes = PyTorchFile(["a": [1, 2], "b": [3]]).bytes
    let path = try directory.write("x.bin", bytes)
    let whole = CountingHost()
    _ = try open(path, .map, MemoryAllocator(whole))
    for request in 0..<whole.requestCount {
      let host = CountingHost(failingRequest: request)
      let error = #expect(throws: XverseError.self) { try open(path, .map, MemoryAllocator(host)) }
      #expect(error?.code == .outOfMemory)
      #expect(host.blockCount == 0)
    }
  }
}
