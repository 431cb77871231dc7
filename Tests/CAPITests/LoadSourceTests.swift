// LoadSourceTests.swift -- a model whose files stand behind functions of the host.

import CXverse
import TestSupport
import Testing

extension ABI {
  @Suite("A model from a source")
  struct LoadSourceTests {
    private func tinyFiles() throws -> MemoryFiles {
      let directory = try ModelDirectory()
      return try withExtendedLifetime(directory) { try MemoryFiles(directory: directory.path) }
    }

    private func load(_ files: MemoryFiles, _ json: String = "{}", on runtime: Handle? = nil) throws -> Handle {
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, json)
      return try makeHandle(xverse_model_release) { out in files.load(options, on: runtime, into: &out.pointee) }
    }

    private func logits(_ model: Handle) throws -> [Float] {
      let session = try Session(model)
      try check(session.evaluate(someTokens(9)))
      return try session.logits
    }

    @Test("has the logits of the same files in a directory", arguments: ["{}", #"{"quantize": "int4"}"#])
    func agreesWithDirectory(json: String) throws {
      let directory = try ModelDirectory()
      let files = try MemoryFiles(directory: directory.path)
      files.pieceLength = 1000
      let model = try load(files, json)
      #expect(files.closeCount == 1)
      #expect(try logits(model) == logits(openModel(directory.path, json)))
      // A callback may not call what changes something.
      #expect(Int(files.statusInside) == XVERSE_E_MISUSE)
    }

    @Test("needs nothing of the source once it is loaded")
    func needsNothingAfterwards() throws {
      let files = try tinyFiles()
      let model = try load(files)
      files.files = [:]
      _ = try logits(model)
    }

    @Test("says which file is missing")
    func missingFile() throws {
      for (name, word) in [("config.json", "config.json"), ("model.safetensors", "weights")] {
        let files = try tinyFiles()
        files.files[name] = nil
        var model = OpaquePointer(bitPattern: 16)
        expect(files.load(into: &model), is: XVERSE_E_NOTFOUND, saying: "the source", word)
        #expect(model == nil)
        #expect(files.closeCount == 1)
      }
    }

    @Test("fails with IO at each read that fails, gives everything back and can be loaded after it")
    func failingReads() throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      let files = try tinyFiles()
      files.pieceLength = 20_000
      var failures = 0
      while failures < 1000 {
        files.failingRead = failures
        var model = OpaquePointer(bitPattern: 16)
        let status = files.load(on: runtime, into: &model)
        #expect(files.closeCount == 1)
        if status == 0 {
          xverse_model_release(model)
          break
        }
        expect(status, is: XVERSE_E_IO, saying: "read_at returned -1")
        #expect(model == nil)
        #expect(host.blocks == 0)
        failures += 1
      }
      #expect(failures > 5 && failures < 1000)
      files.failingRead = nil
      _ = try logits(load(files, on: runtime))
      #expect(host.faults == [])
    }

    @Test("ends as corrupt where the source ends early, and names a read that claims too much")
    func shortAndLongReads() throws {
      let files = try tinyFiles()
      files.failingRead = 2
      var model: OpaquePointer?
      for (failure, status, words) in [
        (Int64(0), XVERSE_E_CORRUPT, "ends at byte"), (Int64.max, XVERSE_E_CALLBACK, "read_at returned \(Int64.max)"),
      ] {
        files.failure = failure
        expect(files.load(into: &model), is: status, saying: words)
      }
    }

    @Test("refuses a source without its functions, without closing it")
    func incompleteSource() throws {
      let files = try tinyFiles()
      var model: OpaquePointer?
      let changes: [(inout xverse_source) -> Void] = [
        { $0.size -= 1 }, { $0.length = nil }, { $0.read_at = nil },
      ]
      for change in changes {
        var source = MemoryFiles.source
        change(&source)
        let status = xverse_model_load_source(nil, &source, files.user, nil, nil, nil, nil, &model)
        expect(status, is: XVERSE_E_INVALID, saying: "source->")
      }
      #expect(files.closeCount == 0)
    }

    @Test("closes the source when the options are of another kind")
    func wrongOptions() throws {
      let files = try tinyFiles()
      var model: OpaquePointer?
      expect(files.load(try makeOptions(XVERSE_OPTIONS_SESSION), into: &model), is: XVERSE_E_INVALID, saying: "options")
      #expect(files.closeCount == 1)
    }
  }
}
