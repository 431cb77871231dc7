// HostileDirectoryTests.swift -- every row of the table of bad model directories, one after the other in one process.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Hostile directories")
  struct HostileDirectoryTests {
    @Test("a bad directory gets its status and words, and leaves nothing behind", arguments: BadDirectory.all)
    func badDirectories(bad: BadDirectory) throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      let directory = try ModelDirectory()
      try bad.spoil(directory)
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, bad.options)
      var model = OpaquePointer(bitPattern: 16)
      let status = xverse_model_load(runtime.pointer, directory.path, options.pointer, nil, nil, nil, &model)
      if status == 0, bad.isFoundByGenerationAlone {
        let model = Handle(model, xverse_model_release)
        let answer = try generate(model)
        expectRefusal(answer.status, by: bad, saying: answer.message)
        #expect(!answer.hasResult)
      } else if status == 0 {
        #expect(bad.status == XVERSE_OK)
        try expectWorking(Handle(model, xverse_model_release))
      } else {
        expectRefusal(Int(status), by: bad, saying: lastMessage)
        #expect(model == nil)
        #expect(host.blocks == 0)
        #expect(try memory(of: runtime).peak <= (8 << 20) + 256 * directory.bytesOnDisk)
      }
      #expect(host.faults == [])
      try expectInspection(of: directory, agreesWith: bad, options)
      try expectWorking(openModel(Self.good.get().path, on: runtime))
    }

    @Test("a truncated or shorter file of any length is CORRUPT", arguments: ["model.safetensors", "tokenizer.json"])
    func everyLength(name: String) throws {
      let directory = try ModelDirectory()
      let bytes = try directory.bytes(of: name)
      let runtime = try makeRuntime(#"{"threads": 1}"#)
      for length in stride(from: 1, to: bytes.count, by: max(1, bytes.count / 40)) {
        try directory.write(name, Array(bytes.prefix(length)))
        var model: OpaquePointer?
        expect(
          xverse_model_load(runtime.pointer, directory.path, nil, nil, nil, nil, &model), is: XVERSE_E_CORRUPT,
          saying: name)
        #expect(model == nil)
      }
      #expect(try memory(of: runtime).current == 0)
    }

    @Test("a name of a tensor cannot break the lines of the log")
    func logLines() throws {
      let directory = try ModelDirectory()
      let file = try SafetensorsFile(directory.bytes(of: "model.safetensors"))
      try directory.write("model.safetensors", file.adding("two\nlines\u{9B}2J", shape: [1]).bytes)
      let runtime = try makeRuntime()
      let log = LogLines()
      try check(xverse_runtime_set_log(runtime.pointer, LogLines.receive, log.user, Int32(XVERSE_LOG_WARN)))
      _ = try openModel(directory.path, on: runtime)
      #expect(log.lines.map { $0.text.contains(#"two\u{a}lines\u{9b}2J"#) } == [true])
      #expect(log.lines.allSatisfy { !$0.text.contains("\n") })
    }

    /// Never changed.
    private static let good = Result { try ModelDirectory() }

    private func expectRefusal(_ status: Int, by bad: BadDirectory, saying message: String) {
      #expect(status == bad.status, "\(message)")
      for word in bad.words { #expect(message.contains(word), "\(message)") }
      #expect(!message.contains("\n") && !message.contains("\u{9B}") && message.utf8.count < 1000)
    }

    /// Shapes and numbers are looked at by load alone; everything else inspect says too.
    private func expectInspection(
      of directory: ModelDirectory, agreesWith bad: BadDirectory, _ options: Handle
    ) throws {
      guard !bad.isFoundByLoadAlone else { return }
      let message = lastMessage
      var json = UnsafeMutablePointer<CChar>(bitPattern: 16)
      let status = xverse_model_inspect(directory.path, options.pointer, &json, nil)
      #expect(Int(status) == (bad.isFoundByGenerationAlone ? XVERSE_OK : bad.status))
      guard status != 0 else { return xverse_free(json) }
      #expect(lastMessage == message)
      #expect(json == nil)
    }

    private func expectWorking(_ model: Handle) throws {
      let answer = try generate(model)
      #expect(answer.status == XVERSE_OK || answer.status == XVERSE_E_FAIL, "\(answer.message)")
      #expect(answer.tokens.count == (answer.status == XVERSE_OK ? 1 : 0))
    }

    /// Generates a token, greedily.
    private func generate(_ model: Handle) throws -> Answer {
      try Session(model).generate(
        Request(model, "the world", #"{"max_new_tokens": 1, "ignore_eos": 1, "do_sample": 0}"#))
    }
  }
}
