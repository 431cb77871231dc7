// CheckpointLocationTests.swift -- what a path may name, and what is said about the rest.

import Glibc
import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

@Suite("CheckpointLocation")
struct CheckpointLocationTests {
  private let weightNames =
    "model.safetensors or model.safetensors.index.json or pytorch_model.bin or pytorch_model.bin.index.json"

  @Test("takes a directory, with or without a slash at the end", arguments: ["", "/"])
  func takesDirectory(suffix: String) throws {
    let directory = try modelDirectory(["model.safetensors": safetensors("w", [1])])

    let location = try CheckpointLocation(path: directory.path + suffix)

    #expect(text(of: try location.requiredCompanion("config.json", maximumLength: 9)) == "{}")
    #expect(try open(directory.path + suffix).tensorNames == ["w"])
  }

  @Test("takes a file of any name that ends in .safetensors, also by a relative path")
  func takesFile() throws {
    let directory = try TemporaryDirectory()
    try directory.write("my model.safetensors", safetensors("w", [1]))

    #expect(try open(directory.path + "/my model.safetensors").tensorNames == ["w"])
    #expect(try FilePath("x.safetensors").directory.text == ".")
    #expect(try FilePath("/x.safetensors").directory.text == "/")
    #expect(try FilePath("a/b/x.safetensors").directory.text == "a/b")
  }

  @Test("does not find a path that is missing")
  func reportsMissingPath() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/missing"

    let error = #expect(throws: XverseError.self) { try CheckpointLocation(path: path) }

    #expect(error == .notFound("\(path): No such file or directory"))
  }

  @Test("rejects a path that no file can have", arguments: ["", "a\u{0}", String(repeating: "x/", count: 4096)])
  func rejectsImpossiblePath(path: String) {
    let error = #expect(throws: XverseError.self) { try CheckpointLocation(path: path) }

    #expect(error?.code == .invalid)
  }

  @Test("rejects what is neither file nor directory, without waiting for it", .timeLimit(.minutes(1)))
  func rejectsOtherKinds() throws {
    let directory = try TemporaryDirectory()
    mkfifo(directory.path + "/model.safetensors", 0o600)

    for (path, kind) in [(directory.path + "/model.safetensors", "a FIFO"), ("/dev/zero", "a character device")] {
      let error = #expect(throws: XverseError.self) { try CheckpointLocation(path: path) }
      let expected = "expected a .safetensors, .bin or .gguf file or a Hugging Face model directory"
      #expect(error == .unsupported("\(path) is \(kind), \(expected)"))
    }
  }

  @Test("reports a loop of links")
  func reportsLinkLoop() throws {
    let directory = try TemporaryDirectory()
    symlink("loop.safetensors", directory.path + "/loop.safetensors")

    let error = #expect(throws: XverseError.self) {
      try CheckpointLocation(path: directory.path + "/loop.safetensors")
    }

    #expect(error?.code == .io)
    #expect(error?.message.hasSuffix("Too many levels of symbolic links") == true)
  }

  @Test("does not take a directory without config.json")
  func rejectsDirectoryWithoutConfiguration() throws {
    let directory = try TemporaryDirectory()
    try directory.write("model.safetensors", safetensors("w", [1]))

    let error = #expect(throws: XverseError.self) { try CheckpointLocation(path: directory.path) }

    #expect(
      error == .notFound("\(directory.path): there is no config.json, expected a Hugging Face model directory"))
  }

  @Test("does not find the config.json that a single file needs")
  func reportsMissingCompanion() throws {
    let directory = try TemporaryDirectory()
    let location = try CheckpointLocation(path: directory.write("x.safetensors", safetensors("w", [1])))

    let error = #expect(throws: XverseError.self) {
      try location.requiredCompanion("config.json", maximumLength: 100)
    }

    #expect(error == .notFound("\(directory.path): there is no config.json, expected a Hugging Face model directory"))
  }

  @Test("gives config.json although the weights are missing, and then says so")
  func separatesConfigurationFromWeights() throws {
    let directory = try modelDirectory([:])
    let location = try CheckpointLocation(path: directory.path)

    #expect(try location.companion("config.json", maximumLength: 2) != nil)
    let error = #expect(throws: XverseError.self) { try open(directory.path) }

    #expect(error == .notFound("\(directory.path): there are no weights, expected \(weightNames)"))
  }

  @Test(
    "names weights in a format that is not read",
    arguments: [
      ["pytorch_model-00001-of-00001.bin"],
      ["pytorch_model-00002-of-00002.bin", "pytorch_model-00001-of-00002.bin"],
    ])
  func namesForeignWeights(files: [String]) throws {
    let withConfiguration = try modelDirectory(Dictionary(uniqueKeysWithValues: files.map { ($0, [1]) }))
    let without = try TemporaryDirectory()
    for file in files { try without.write(file, [1]) }

    for directory in [withConfiguration, without] {
      let error = #expect(throws: XverseError.self) { try open(directory.path) }
      #expect(
        error
          == .unsupported(
            "\(directory.path): the weights are in '\(files.min() ?? "")', "
              + "expected \(weightNames)"))
    }
  }

  @Test("rejects a file in another format, and an empty file as such")
  func rejectsForeignFile() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("model.onnx", "ONNX")
    let empty = try directory.write("empty.onnx", "")

    let error = #expect(throws: XverseError.self) { try CheckpointLocation(path: path) }
    let emptiness = #expect(throws: XverseError.self) { try CheckpointLocation(path: empty) }

    let expected = "expected a .safetensors, .bin or .gguf file or a Hugging Face model directory"
    #expect(error == .unsupported("\(path): \(expected)"))
    #expect(emptiness == .corrupt("empty.onnx: the file is empty"))
  }

  @Test("rejects an empty config.json and one that is no file")
  func rejectsOddConfiguration() throws {
    let directory = try TemporaryDirectory()
    try directory.write("config.json", "")
    mkdir(directory.path + "/tokenizer.json", 0o700)
    let location = try CheckpointLocation(path: directory.path)

    let emptiness = #expect(throws: XverseError.self) { try location.companion("config.json", maximumLength: 9) }
    let kind = #expect(throws: XverseError.self) { try location.companion("tokenizer.json", maximumLength: 9) }

    #expect(emptiness == .corrupt("config.json: the file is empty"))
    #expect(kind == .unsupported("\(directory.path)/tokenizer.json is a directory, expected a regular file"))
  }
}
