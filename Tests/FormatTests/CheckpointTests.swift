// CheckpointTests.swift -- one file or many behind the same names; progress, memory, and changes while opening.

import Glibc
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseFormats

@Suite("Checkpoint")
struct CheckpointTests {
  @Test("finds the tensors of all shards", arguments: [MappedFile.Mode.map, .read])
  func readsShards(mode: MappedFile.Mode) throws {
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": "2.safetensors", "b": "1.safetensors"]),
      "1.safetensors": safetensors("b", [1, 2]), "2.safetensors": safetensors("a", [3]),
    ])

    let checkpoint = try open(directory.path, mode)

    #expect(checkpoint.directory == directory.path)
    #expect(checkpoint.tensorNames == ["a", "b"])
    #expect(checkpoint.byteCount == 12)
    #expect(try checkpoint.tensor(named: "a")?.floats == [3])
    #expect(try checkpoint.tensor(named: "b")?.floats == [1, 2])
    #expect(try checkpoint.tensor(named: "a")?.fileName == "2.safetensors")
  }

  @Test("takes tensors of a shard that the index does not list")
  func takesUnlistedTensors() throws {
    let header = "{\(entry("a", "U8", [1], 0, 1)),\(entry("extra", "U8", [1], 1, 2))}"
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": "1.safetensors"]),
      "1.safetensors": safetensors(header, data: [1, 2]),
    ])

    #expect(try open(directory.path).tensorNames == ["a", "extra"])
  }

  @Test("prefers the single file to an index")
  func prefersSingleFile() throws {
    let directory = try modelDirectory([
      "model.safetensors": safetensors("whole", [1]),
      "model.safetensors.index.json": shardIndex(["a": "1.safetensors"]),
    ])

    #expect(try open(directory.path).tensorNames == ["whole"])
  }

  @Test("gives the bytes of the files beside the weights", arguments: ["", "/model.safetensors"])
  func givesCompanions(suffix: String) throws {
    let directory = try modelDirectory(["model.safetensors": safetensors("w", [1])])

    let location = try CheckpointLocation(path: directory.path + suffix)

    #expect(location.directory == directory.path)
    #expect(try open(directory.path + suffix).directory == directory.path)
    #expect(try location.companion("config.json", maximumLength: 2).map(text) == "{}")
    #expect(try location.companion("tokenizer.json", maximumLength: 2) == nil)
    let error = #expect(throws: XverseError.self) { try location.companion("config.json", maximumLength: 1) }
    #expect(error == .limit("config.json: the file has 2 bytes, expected at most 1"))
  }

  @Test(
    "rejects an index that is none",
    arguments: [
      ("[]", "there is no 'weight_map' that is an object"),
      ("{}", "there is no 'weight_map' that is an object"),
      ("{\"weight_map\":[]}", "there is no 'weight_map' that is an object"),
      ("{\"weight_map\":{}}", "'weight_map' names no shard"),
      ("{\"weight_map\":{\"a\":1}}", "the shard of 'a' is a number, expected a file name"),
      ("{\"weight_map\":", "the text ends inside a value at byte 14"),
    ])
  func rejectsIndex(index: String, fault: String) throws {
    let directory = try modelDirectory(["model.safetensors.index.json": Array(index.utf8)])

    let error = #expect(throws: XverseError.self) { try open(directory.path) }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "model.safetensors.index.json: \(fault)")
  }

  @Test(
    "never leaves the directory",
    arguments: [
      "../../etc/passwd", "/etc/passwd", "..", ".", "", "sub/1.safetensors", "./1.safetensors", "1.safetensors/",
      "a\\u0000b.safetensors", "..\\u002f1.safetensors",
    ])
  func rejectsPathsInIndex(shard: String) throws {
    let directory = try modelDirectory(["model.safetensors.index.json": shardIndex(["a": shard])])

    let error = #expect(throws: XverseError.self) { try open(directory.path) }

    #expect(error?.code == .invalid)
    #expect(error?.message.hasPrefix("model.safetensors.index.json: shard '") == true)
    #expect(error?.message.hasSuffix("' is not the name of a file in the index's own directory") == true)
  }

  @Test("takes shards of any name, by their first bytes")
  func takesShardsOfAnyName() throws {
    let directory = try modelDirectory([
      "pytorch_model.bin.index.json": shardIndex(["a": "sha256-01", "b": "b.bin"]),
      "sha256-01": safetensors("a", [1]), "b.bin": safetensors("b", [2]),
    ])

    let checkpoint = try open(directory.path)

    #expect(checkpoint.tensorNames == ["a", "b"] && checkpoint.format == .safetensors)
  }

  @Test("names the shard that is missing, and the index, before it reads another")
  func reportsMissingShard() throws {
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": "1.safetensors", "b": "2.safetensors"]),
      "1.safetensors": [0],
    ])

    let error = #expect(throws: XverseError.self) { try open(directory.path) }

    #expect(
      error
        == .notFound(
          "\(directory.path)/2.safetensors: the shard is missing, which model.safetensors.index.json names"))
  }

  @Test("rejects a shard that is no file", .timeLimit(.minutes(1)))
  func rejectsFIFOShard() throws {
    let directory = try modelDirectory(["model.safetensors.index.json": shardIndex(["a": "1.safetensors"])])
    mkfifo(directory.path + "/1.safetensors", 0o600)

    let error = #expect(throws: XverseError.self) { try open(directory.path) }

    #expect(error == .unsupported("\(directory.path)/1.safetensors is a FIFO, expected a regular file"))
  }

  @Test(
    "of a tensor in several shards the last one by file name counts, whatever the index says",
    arguments: [("1.safetensors", "2.safetensors"), ("2.safetensors", "1.safetensors")])
  func takesLastDuplicate(shardOfA: String, shardOfB: String) throws {
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": shardOfA, "b": shardOfB]),
      "1.safetensors": safetensors("{\(entry("a", "U8", [1], 0, 1)),\(entry("b", "U8", [1], 1, 2))}", data: [1, 2]),
      "2.safetensors": safetensors("{\(entry("a", "U8", [1], 0, 1))}", data: [3]),
    ])

    let checkpoint = try open(directory.path)

    #expect(checkpoint.tensorNames == ["a", "b"])
    #expect(checkpoint.byteCount == 2)
    let a = try #require(try checkpoint.tensor(named: "a"))
    #expect(a.data.load(as: UInt8.self) == 3 && a.fileName.hasSuffix("2.safetensors"))
    #expect(
      checkpoint.warnings.first
        == "1 tensors stand in several shards, of which the last one counts, such as 'a' in 1.safetensors and in "
        + "2.safetensors")
  }

  @Test("rejects a tensor that stands twice in one file, also beside one that stands in two shards")
  func rejectsDuplicateTensor() throws {
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": "1.safetensors", "b": "2.safetensors"]),
      "1.safetensors": safetensors("a", [1]),
      "2.safetensors": safetensors(
        "{\(entry("b", "U8", [1], 0, 1)),\(entry("a", "U8", [1], 1, 2)),\(entry("b", "U8", [1], 2, 3))}",
        data: [1, 2, 3]),
    ])

    let error = #expect(throws: XverseError.self) { try open(directory.path) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("'b'") == true, "\(error?.message ?? "")")
  }

  @Test(
    "what stands in the shards counts, and a warning tells where the index says something else",
    arguments: [
      ("c", "1.safetensors", "1 tensors that it lists stand in no shard, such as 'c'"),
      ("b", "1.safetensors", "1 tensors stand in another shard than it lists, such as 'b' not in '1.safetensors'"),
      ("x", "2.safetensors", "duplicate key 'x', of which the last one counts at byte 56"),
    ])
  func takesWrongIndex(tensor: String, shard: String, warning: String) throws {
    let directory = try modelDirectory([
      "model.safetensors.index.json": Array(
        "{\"weight_map\":{\"a\":\"1.safetensors\",\"x\":\"2.safetensors\",\"\(tensor)\":\"\(shard)\"}}".utf8),
      "1.safetensors": safetensors("a", [1]),
      "2.safetensors": safetensors("{\(entry("b", "U8", [1], 0, 1)),\(entry("x", "U8", [1], 1, 2))}", data: [1, 2]),
    ])

    let checkpoint = try open(directory.path)

    #expect(checkpoint.tensorNames == ["a", "b", "x"])
    #expect(checkpoint.warnings == ["model.safetensors.index.json: \(warning)"])
  }

  @Test("rejects more shards than any checkpoint has, before it looks at one")
  func limitsShardCount() throws {
    let map = (0...ShardIndex.maximumShardCount).map { "\"\($0)\":\"\($0).safetensors\"" }.joined(separator: ",")
    let directory = try modelDirectory(["model.safetensors.index.json": Array("{\"weight_map\":{\(map)}}".utf8)])

    let error = #expect(throws: XverseError.self) { try open(directory.path) }

    #expect(error?.code == .limit)
    #expect(error?.message == "model.safetensors.index.json: more than 10000 shards")
  }

  @Test("rejects an index that is too long")
  func limitsIndexLength() throws {
    let directory = try modelDirectory(["model.safetensors.index.json": [0]])
    truncate(directory.path + "/model.safetensors.index.json", ShardIndex.maximumLength + 1)

    let error = #expect(throws: XverseError.self) { try open(directory.path) }

    #expect(error?.code == .limit)
  }

  @Test("reports the bytes of all files, headers first", arguments: [MappedFile.Mode.map, .read])
  func reportsProgress(mode: MappedFile.Mode) throws {
    let (first, second) = (safetensors("a", [1]), safetensors("b", [1, 2, 3]))
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": "1.safetensors", "b": "2.safetensors"]),
      "1.safetensors": first, "2.safetensors": second,
    ])
    let total = first.count + second.count
    var reports: [Int] = []

    _ = try Checkpoint(path: directory.path, mode: mode, allocator: .system) { (done, all) throws(XverseError) in
      #expect(all == total)
      reports.append(done)
    }

    #expect(reports == [0, 0, 0, first.count, first.count, total])
  }

  @Test("ends where the report of progress throws, and holds nothing", arguments: 0..<6)
  func endsWhenCancelled(call: Int) throws {
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": "1.safetensors", "b": "2.safetensors"]),
      "1.safetensors": safetensors("a", [1]), "2.safetensors": safetensors("b", [1, 2, 3]),
    ])
    let allocator = MemoryAllocator()
    var calls = 0

    let error = #expect(throws: XverseError.self) {
      try Checkpoint(path: directory.path, mode: .read, allocator: allocator) { (_, _) throws(XverseError) in
        calls += 1
        if calls == call + 1 { throw XverseError(.cancelled, "cancelled") }
      }
    }

    #expect(error?.code == .cancelled)
    #expect(calls == call + 1)
    #expect(allocator.current == 0)
  }

  @Test("checks every header before it takes memory for any data")
  func checksHeadersFirst() throws {
    let large = safetensors("a", [Float](repeating: 1, count: 100_000))
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": "1.safetensors", "b": "2.safetensors"]),
      "1.safetensors": large, "2.safetensors": safetensors("b", [1]).dropLast(),
    ])
    let allocator = MemoryAllocator()

    let error = #expect(throws: XverseError.self) { try open(directory.path, .read, allocator) }

    #expect(error?.code == .corrupt)
    #expect(allocator.peak < 10_000)
  }

  @Test("rejects a file that is changed between its header and its data", arguments: [MappedFile.Mode.map, .read])
  func rejectsChangedFile(mode: MappedFile.Mode) throws {
    let directory = try modelDirectory(["model.safetensors": safetensors("a", [1, 2, 3, 4])])
    let path = directory.path + "/model.safetensors"
    var calls = 0

    let error = #expect(throws: XverseError.self) {
      try Checkpoint(path: path, mode: mode, allocator: .system) { (_, _) throws(XverseError) in
        calls += 1
        if calls == 2 { truncate(path, 20) }
      }
    }

    #expect(error == .corrupt("model.safetensors: the file was changed while the checkpoint was opened"))
  }

  @Test("reads no data to look at the headers of a checkpoint far larger than memory")
  func readsHeadersOnly() throws {
    let length = 1 << 40
    let directory = try TemporaryDirectory()
    let path = try directory.write(
      "x.safetensors", safetensors("{\(entry("w", "BF16", [length / 4, 2], 0, length))}"))
    let headerLength = try MappedFile(path: path, mode: .read).bytes.count
    try #require(truncate(path, headerLength + length) == 0)
    let allocator = MemoryAllocator(limit: 100_000)

    let checkpoint = try open(path, .map, allocator)

    #expect(checkpoint.byteCount == length)
    #expect(try checkpoint.tensor(named: "w")?.shape == [length / 4, 2])
    let error = #expect(throws: XverseError.self) { try open(path, .read, allocator) }
    #expect(error?.code == .outOfMemory)
  }

  @Test("holds nothing after any of its allocations failed", arguments: [MappedFile.Mode.map, .read])
  func survivesFailingAllocations(mode: MappedFile.Mode) throws {
    let directory = try modelDirectory([
      "model.safetensors.index.json": shardIndex(["a": "1.safetensors", "b": "2.safetensors"]),
      "1.safetensors": safetensors("a", [1]), "2.safetensors": safetensors("b", [1, 2, 3]),
    ])
    let host = CountingHost()
    _ = try open(directory.path, mode, MemoryAllocator(host))
    #expect(host.blockCount == 0)

    for request in 0..<host.requestCount {
      let failing = CountingHost(failingRequest: request)
      let error = #expect(throws: XverseError.self) {
        try open(directory.path, mode, MemoryAllocator(failing))
      }
      #expect(error?.code == .outOfMemory)
      #expect(failing.blockCount == 0)
    }
  }

  @Test("gives the same numbers from every file of the reference model", .enabled(if: SharedData.isAvailable))
  func agreesAcrossFiles() throws {
    let f32 = try open(SharedData.file("data/stories260k-xverse/hf-f32"))
    let f16 = try open(SharedData.file("data/stories260k-xverse/hf-f16-sharded"), .read)
    let bf16 = try open(SharedData.file("data/stories260k-xverse/hf-bf16"))
    #expect(f32.tensorNames.count == 5 * 9 + 3)
    #expect(f32.byteCount == 4 * 313_280)
    #expect(f16.byteCount == 2 * 313_280)

    for name in f32.tensorNames {
      let expected = try #require(try f32.tensor(named: name))
      let half = try #require(try f16.tensor(named: name))
      let brain = try #require(try bf16.tensor(named: name))
      #expect(expected.dtype == .float32 && half.dtype == .float16 && brain.dtype == .bfloat16)
      #expect(expected.shape == half.shape && expected.shape == brain.shape)
      #expect(expected.floats == half.floats, "\(name)")
      #expect(expected.floats == brain.floats, "\(name)")
    }
    #expect(f16.tensorNames == f32.tensorNames && bf16.tensorNames == f32.tensorNames)
  }
}
