// FileBeginningTests.swift -- files told by their first bytes, and paths that are bytes.

import Glibc
import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

@Suite("FileBeginning")
struct FileBeginningTests {
  private static let hash = "sha256-8934d96d3f08982e95922b2b7a2c626a1fe873d7c3b06e8e56d7bc0a1fef9246"

  private static var pytorch: [UInt8] {
    var checkpoint = TinyCheckpoint()
    checkpoint.layerCount = 1
    return checkpoint.pytorch().bytes
  }

  @Test(
    "a file is what its first bytes say, whatever its name",
    arguments: [hash, "weights", "x.bin", "x.safetensors", "x.gguf", "x.json", "a.gguf.part"])
  func tellsFormats(name: String) throws {
    let files: [(bytes: [UInt8], format: WeightsFormat)] = [
      (smallGGUF().bytes, .gguf), (safetensors("w", [1]), .safetensors), (Self.pytorch, .pytorch),
    ]
    for file in files {
      let directory = try TemporaryDirectory()
      let checkpoint = try open(directory.write(name, file.bytes))
      #expect(checkpoint.format == file.format)
      #expect(!checkpoint.tensorNames.isEmpty)
    }
  }

  @Test("the files of a directory are what their first bytes say")
  func tellsFormatsInDirectories() throws {
    let pytorch = try modelDirectory(["model.safetensors": Self.pytorch])
    let safetensors = try modelDirectory(["pytorch_model.bin": safetensors("w", [1])])
    #expect(try open(pytorch.path).format == .pytorch)
    #expect(try open(safetensors.path).format == .safetensors)
    let directory = try modelDirectory(["model.safetensors": smallGGUF().bytes])
    let error = #expect(throws: XverseError.self) { try open(directory.path) }
    #expect(error?.code == .unsupported)
    #expect(error?.message.hasPrefix("model.safetensors: this is a GGUF file") == true)
  }

  @Test(
    "names what stands in the place of a file",
    arguments: [
      ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 14599796384\n", "a Git LFS pointer"),
      ("<!DOCTYPE html>\n<html lang=\"en\">", "an HTML page"), ("\n\t <html>", "an HTML page"),
      ("\u{FEFF}<!doctype HTML><head>", "an HTML page"),
      ("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "an XML page"),
      ("Entry not found", "the answer 'entry not found' of a server"),
      ("Repository not found", "the answer 'repository not found' of a server"),
      ("Invalid username or password.", "the answer 'invalid username or password.' of a server"),
      ("Invalid credentials\0\u{202E}\r\nx", "the answer 'invalid credentials\\u{0}\\u{202e}' of a server"),
      ("Access to model x/y is restricted.\nAsk", "the answer 'access to model x/y is restricted.' of a server"),
    ])
  func namesSubstitutes(text: String, words: String) throws {
    for name in ["model.safetensors", "pytorch_model.bin", "model.gguf", "model.safetensors.index.json"] {
      let directory = try modelDirectory([name: Array(text.utf8)])
      let error = #expect(throws: XverseError.self) { try open(directory.path) }
      #expect(error?.code == .corrupt)
      #expect(error?.message.hasPrefix("\(name): \(words) stands in place of the file: ") == true)
    }
    for name in ["config.json", "tokenizer.json", "tokenizer.model"] {
      let directory = try modelDirectory([name: Array(text.utf8)])
      let location = try CheckpointLocation(path: directory.path)
      let error = #expect(throws: XverseError.self) { try location.companion(name, maximumLength: 1000) }
      #expect(error?.code == .corrupt)
      #expect(error?.message.hasPrefix("\(name): \(words) stands in place") == true)
    }
    let directory = try TemporaryDirectory()
    let path = try directory.write(Self.hash, text)
    let error = #expect(throws: XverseError.self) { try open(path) }
    #expect(error?.code == .corrupt && error?.message.contains(words) == true)
  }

  @Test("takes files of which nothing of that kind can be said", arguments: ["{}", "v", "<", "", "version"])
  func passesOthers(text: String) throws {
    let directory = try modelDirectory(["tokenizer.json": Array(text.utf8) + [0x20]])
    let file = try CheckpointLocation(path: directory.path).companion("tokenizer.json", maximumLength: 100)
    #expect(file != nil)
  }

  @Test("a path is bytes: one in another encoding than UTF-8 opens as it is")
  func opensOtherEncodings() throws {
    let directory = try TemporaryDirectory()
    let gbk: [UInt8] = [0xC4, 0xA3, 0xD0, 0xCD]
    for (place, bytes) in [(gbk, smallGGUF().bytes), ([0xE9], safetensors("w", [1]))] {
      let folder = try FilePath(bytes: Array(directory.path.utf8) + [0x2F] + place)
      try #require(folder.withCString { mkdir($0, 0o700) } == 0)
      let file = try folder.appending([UInt8](place) + [0xFF])
      var output = try OutputFile(path: file)
      try bytes.withUnsafeBytes { try output.write($0) }
      #expect(!(try checkpoint(file).tensorNames).isEmpty)
      #expect(file.name.bytes == place + [0xFF] && file.directory == folder)
    }
    // The only .gguf file of a directory, and its parts.
    let folder = try FilePath(bytes: Array(directory.path.utf8) + [0x2F] + gbk)
    var output = try OutputFile(path: folder.appending(gbk + Array(".gguf".utf8)))
    try smallGGUF().bytes.withUnsafeBytes { try output.write($0) }
    #expect(try checkpoint(folder).format == .gguf)
    #expect(try checkpoint(folder).directory.contains("\u{FFFD}"))
  }

  @Test("makes a directory and a file whose names are not UTF-8")
  func writesOtherEncodings() throws {
    let directory = try TemporaryDirectory()
    let folder = Array(directory.path.utf8) + [0x2F, 0xC4, 0xA3]
    let output = try OutputDirectory(path: folder + [0x2F])
    try [UInt8](arrayLiteral: 1).withUnsafeBytes { try output.write($0, to: "a") }
    try output.publish()
    #expect(try FilePath(folder).appending("a").exists())

    let file = try ReplacementFile(newAt: folder + [0x2F, 0xFF])
    try [UInt8](arrayLiteral: 1).withUnsafeBytes { try file.write($0) }
    try file.publish()
    #expect(try FilePath(folder + [0x2F, 0xFF]).kind() == .regularFile)
  }

  @Test(
    "a name that claims no parts, or a part of none, is a name", arguments: ["x-00001-of-00000", "x-00000-of-00000"])
  func takesOddPartNames(name: String) throws {
    let directory = try TemporaryDirectory()
    #expect(try open(directory.write(name + ".gguf", smallGGUF().bytes)).format == .gguf)
    #expect(try open(directory.path).format == .gguf)
  }

  private func checkpoint(_ path: FilePath) throws -> Checkpoint {
    try Checkpoint(path: path, mode: .map, allocator: .system) { (_, _) throws(XverseError) in }
  }
}
