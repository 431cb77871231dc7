// OutputDirectoryTests.swift -- directories that appear whole or not at all, and safetensors files written into them.

import Foundation
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseFormats

/// What is in a directory, in the order of names.
private func contents(of path: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: path).sorted()
}

private func write(_ text: String, to name: String, in directory: OutputDirectory) throws {
  try Array(text.utf8).withUnsafeBytes { try directory.write($0, to: name) }
}

@Suite("OutputDirectory")
struct OutputDirectoryTests {
  private let place: TemporaryDirectory

  init() throws { place = try TemporaryDirectory() }

  @Test("stands beside its place until it is published, then in it", arguments: ["", "/", "///"])
  func publishes(tail: String) throws {
    let directory = try OutputDirectory(path: place.path + "/new" + tail)
    try write("one", to: "a.json", in: directory)
    try write("", to: "b", in: directory)
    let before = try contents(of: place.path)

    try directory.publish()

    #expect(before.count == 1 && before[0].hasPrefix("new.partial-"))
    #expect(try contents(of: place.path) == ["new"])
    #expect(try contents(of: place.path + "/new") == ["a.json", "b"])
    #expect(try String(contentsOfFile: place.path + "/new/a.json", encoding: .utf8) == "one")
  }

  @Test("leaves nothing behind when it is not published")
  func removesItself() throws {
    do {
      let directory = try OutputDirectory(path: place.path + "/new")
      try write("one", to: "a.json", in: directory)
      #expect(try contents(of: place.path).count == 1)
    }

    #expect(try contents(of: place.path) == [])
  }

  @Test("keeps what was published when the object goes")
  func keepsPublished() throws {
    do {
      let directory = try OutputDirectory(path: place.path + "/new")
      try write("one", to: "a.json", in: directory)
      try directory.publish()
    }

    #expect(try contents(of: place.path + "/new") == ["a.json"])
  }

  @Test("refuses a place that is taken, by whatever", arguments: ["file", "directory", "directory/", "link"])
  func refusesExisting(name: String) throws {
    try place.write("file", "kept")
    try FileManager.default.createDirectory(atPath: place.path + "/directory", withIntermediateDirectories: false)
    #expect(symlink("file", place.path + "/link") == 0)

    let error = #expect(throws: XverseError.self) { try OutputDirectory(path: place.path + "/" + name) }

    #expect(error?.code == .misuse)
    #expect(error?.message.contains("exists already, expected the name of a new directory") == true)
    #expect(try contents(of: place.path) == ["directory", "file", "link"])
    #expect(try String(contentsOfFile: place.path + "/file", encoding: .utf8) == "kept")
  }

  @Test("does not replace what has taken its place meanwhile")
  func doesNotReplace() throws {
    let directory = try OutputDirectory(path: place.path + "/new")
    try write("one", to: "a.json", in: directory)
    try place.write("new", "somebody else's")

    #expect(throws: XverseError.self) { try directory.publish() }

    #expect(try String(contentsOfFile: place.path + "/new", encoding: .utf8) == "somebody else's")
  }

  @Test(
    "refuses places where no directory can be",
    arguments: [
      ("", XverseError.Code.invalid), ("/", .misuse), (".", .misuse), ("/dev/null/x", .notFound),
      ("/nowhere/x", .notFound),
      ("/proc/xverse", .notFound), ("a\0b", .invalid), (String(repeating: "p", count: 300), .invalid),
      (String(repeating: "p/", count: 3000), .invalid), (String(repeating: "/", count: 100_000), .misuse),
    ])
  func refusesPlaces(path: String, code: XverseError.Code) {
    let error = #expect(throws: XverseError.self) { try OutputDirectory(path: path) }

    #expect(error?.code == code, "\(error?.message ?? "")")
    #expect(error?.message.utf8.count ?? 0 < 1000)
  }

  @Test("a file in it cannot be written twice")
  func refusesSecondFile() throws {
    let directory = try OutputDirectory(path: place.path + "/new")
    try write("one", to: "a.json", in: directory)

    let error = #expect(throws: XverseError.self) { try write("two", to: "a.json", in: directory) }

    #expect(error?.code == .io)
    #expect(error?.message.contains("a.json") == true)
  }
}

@Suite("SafetensorsWriter")
struct SafetensorsWriterTests {
  private static let tensors: [(name: String, dtype: DType, shape: [Int])] = [
    ("a.int4", .int4, [2, 3, 288]), ("a.int4_f16", .int4F16, [1, 2, 304]), ("b.int8", .int8, [1, 2, 544]),
    ("c.f32", .float32, [7]),
    ("d \"quoted\"\n\u{4F60}", .bfloat16, [3, 5]), ("e.f16", .float16, [1]),
  ]
  private static let byteCount = 6 * 288 + 2 * 304 + 2 * 544 + 28 + 30 + 2

  private let place: TemporaryDirectory

  init() throws { place = try TemporaryDirectory() }

  private func byte(_ tensor: Int, _ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: index * 7 + tensor) }

  /// Writes the tensors, and one more whose bytes are given, and publishes the directory "new".
  private func write(
    and last: UnsafeRawBufferPointer? = nil, maximumShardSize: Int = .max,
    progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void = { (_, _) throws(XverseError) in }
  ) throws {
    let directory = try OutputDirectory(path: place.path + "/new")
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.byteCount, alignment: 1)
    defer { memory.deallocate() }
    var outputs: [OutputTensor] = []
    var begin = 0
    for (index, tensor) in Self.tensors.enumerated() {
      let count = tensor.shape.reduce(tensor.dtype.elementSize ?? 1, *)
      let bytes = UnsafeMutableRawBufferPointer(rebasing: memory[begin..<begin + count])
      for offset in 0..<count { bytes[offset] = byte(index, offset) }
      outputs.append(
        OutputTensor(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, bytes: UnsafeRawBufferPointer(bytes)))
      begin += count
    }
    if let last { outputs.append(OutputTensor(name: "last", dtype: .float16, shape: [last.count / 2], bytes: last)) }
    try SafetensorsWriter.write(
      outputs, to: directory, maximumShardSize: maximumShardSize, progress: progress)
    try directory.publish()
  }

  @Test("writes what Checkpoint reads", arguments: [MappedFile.Mode.map, .read])
  func roundTrips(mode: MappedFile.Mode) throws {
    try write()

    try place.write("new/config.json", "{}")
    let checkpoint = try open(place.path + "/new", mode)

    #expect(checkpoint.tensorNames == Self.tensors.map(\.name))
    #expect(checkpoint.byteCount == Self.byteCount)
    for (index, expected) in Self.tensors.enumerated() {
      let tensor = try #require(try checkpoint.tensor(named: expected.name))
      #expect(tensor.dtype == expected.dtype && tensor.shape == expected.shape)
      let bytes = UnsafeRawBufferPointer(start: tensor.data, count: tensor.byteCount)
      #expect(bytes.enumerated().allSatisfy { $0.element == byte(index, $0.offset) }, "\(expected.name)")
    }
  }

  @Test(
    "parts the tensors between files that Checkpoint reads as one",
    arguments: [(1, 6), (1735, 3), (3483, 2), (3484, 1)])
  func writesShards(maximumSize: Int, count: Int) throws {
    try write(maximumShardSize: maximumSize)

    let names = try contents(of: place.path + "/new")
    try place.write("new/config.json", "{}")
    let checkpoint = try open(place.path + "/new")

    #expect(names.count == (count == 1 ? 1 : count + 1))
    if count > 1 { #expect(names.contains("model-00002-of-0000\(count).safetensors")) }
    #expect(checkpoint.tensorNames == Self.tensors.map(\.name))
    #expect(checkpoint.byteCount == Self.byteCount)
  }

  @Test("begins the data at a multiple of a cache line")
  func alignsData() throws {
    try write()

    let file = try [UInt8](Data(contentsOf: URL(fileURLWithPath: place.path + "/new/model.safetensors")))
    let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect((8 + length) % 64 == 0)
    #expect(file[8] == UInt8(ascii: "{"))
  }

  @Test("tells the bytes done before each tensor and after each piece of a long one")
  func tellsProgress() throws {
    let long = UnsafeMutableRawBufferPointer.allocate(byteCount: OutputFile.chunkLength + 6, alignment: 1)
    long.initializeMemory(as: UInt8.self, repeating: 1)
    defer { long.deallocate() }
    var steps: [Int] = []
    var totals: Set<Int> = []

    try write(and: UnsafeRawBufferPointer(long)) { (done, total) throws(XverseError) in
      steps.append(done)
      totals.insert(total)
    }

    let total = Self.byteCount + long.count
    #expect(totals == [total])
    #expect(steps == steps.sorted() && steps.first == 0 && steps.last == total)
    #expect(steps.contains(Self.byteCount) && steps.contains(total - 6))
  }

  @Test("ends where the caller says so and leaves nothing", arguments: 0..<6)
  func ends(report: Int) throws {
    var reports = 0

    let error = #expect(throws: XverseError.self) {
      try write { (_, _) throws(XverseError) in
        reports += 1
        if reports > report { throw XverseError(.cancelled, "stop here") }
      }
    }

    #expect(error?.message == "stop here")
    #expect(reports == report + 1)
    #expect(try contents(of: place.path) == [])
  }

  @Test("a write that fails leaves nothing")
  func failsToWrite() throws {
    // The system cannot read these bytes either.
    let page = try #require(mmap(nil, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
    defer { munmap(page, 4096) }

    let error = #expect(throws: XverseError.self) {
      try write(and: UnsafeRawBufferPointer(start: page, count: 4096))
    }

    #expect(error?.code == .io)
    #expect(error?.message.contains("model.safetensors: cannot write it: Bad address") == true)
    #expect(try contents(of: place.path) == [])
  }
}
