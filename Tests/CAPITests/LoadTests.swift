// LoadTests.swift -- the ways to load a good model directory, and what loading, inspection and get_info tell of it.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Loading")
  struct LoadTests {
    // MARK: ways to load

    @Test("one .safetensors file beside its companions is the directory")
    func singleFile() throws {
      let directory = try ModelDirectory()
      try check(expectingSameLogits(openModel(directory.path), openModel(directory.file("model.safetensors"))))
    }

    @Test("shards under an index are the single file")
    func shards() throws {
      let single = try openTinyModel()
      let directory = try ModelDirectory(sharded: true)
      try check(expectingSameLogits(single, openModel(directory.path)))
    }

    @Test(
      "f16 and bf16 checkpoints load and say so",
      arguments: [
        (TinyCheckpoint.DType.float16, "f16"), (.bfloat16, "bf16"), (.float32, "f32"),
      ])
    func types(dtype: TinyCheckpoint.DType, name: String) throws {
      var checkpoint = TinyCheckpoint()
      checkpoint.dtype = dtype
      let directory = try ModelDirectory(checkpoint)
      let model = try openModel(directory.path)
      #expect(String(cString: try info(of: model).quant) == name)
      try check(Session(model).evaluate(someTokens(20)))
    }

    @Test("load=read gives the bits of load=mmap and keeps the weights in the runtime's memory")
    func loadRead() throws {
      let directory = try ModelDirectory()
      let runtime = try makeRuntime()
      let mapped = try openModel(directory.path)
      let copied = try openModel(directory.path, #"{"load": "read"}"#, on: runtime)
      #expect(try memory(of: runtime).current > info(of: copied).weight_bytes)
      // A copy does not care what becomes of the file; truncating it would end a process that maps it.
      let logits = try logits(mapped)
      mapped.end()
      try directory.write("model.safetensors", [])
      #expect(try self.logits(copied) == logits)
    }

    @Test("vocab_only has a tokenizer and sizes, but makes no sessions")
    func vocabularyOnly() throws {
      let directory = try ModelDirectory()
      try directory.remove("model.safetensors")
      let model = try openModel(directory.path, #"{"vocab_only": 1}"#)
      let info = try info(of: model)
      #expect(String(cString: info.quant) == "none" && info.weight_bytes == 0 && info.n_embd == 32)
      #expect(try decode(model, encode(model, "the world")) == "the world")
      var out: OpaquePointer?
      expect(xverse_session_create(model.pointer, nil, &out), is: XVERSE_E_MISUSE, saying: "vocab_only")
      var value = 0.0
      expect(
        xverse_model_perplexity(model.pointer, "abc", 3, nil, nil, nil, nil, &value, nil), is: XVERSE_E_MISUSE,
        saying: "vocab_only")
    }

    @Test("verify=values finds a NaN and an infinity; verify=header does not look", arguments: [Float.nan, .infinity])
    func verifyValues(value: Float) throws {
      let directory = try ModelDirectory()
      let whole = try SafetensorsFile(directory.bytes(of: "model.safetensors"))
      let name = "model.layers.1.mlp.up_proj.weight"
      try directory.write("model.safetensors", whole.replacing(name, element: 5, with: value).bytes)
      _ = try openModel(directory.path, #"{"verify": "header"}"#)
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, #"{"verify": "values"}"#)
      var out: OpaquePointer?
      expect(
        xverse_model_open(directory.path, options.pointer, &out), is: XVERSE_E_CORRUPT,
        saying: "model.safetensors", name, "element 5")
    }

    @Test("tensors that are not part of the architecture are ignored with a warning")
    func extraTensors() throws {
      let directory = try ModelDirectory()
      let whole = try SafetensorsFile(directory.bytes(of: "model.safetensors"))
      try directory.write("model.safetensors", whole.adding("extra.weight", shape: [2]).bytes)
      let runtime = try makeRuntime()
      let log = LogLines()
      try check(xverse_runtime_set_log(runtime.pointer, LogLines.receive, log.user, Int32(XVERSE_LOG_WARN)))
      _ = try openModel(directory.path, on: runtime)
      #expect(log.lines.count == 1)
      #expect(log.lines.first?.text.contains("extra.weight") == true)
      #expect(log.lines.first?.level == Int32(XVERSE_LOG_WARN))
      try check(xverse_runtime_set_log(runtime.pointer, LogLines.receive, log.user, Int32(XVERSE_LOG_OFF)))
      _ = try openModel(directory.path, on: runtime)
      #expect(log.lines.count == 1)
      for level in [-1, 5, Int32.max] {
        expect(xverse_runtime_set_log(runtime.pointer, nil, nil, level), is: XVERSE_E_RANGE, saying: "\(level)")
      }
    }

    // MARK: progress

    @Test("loading reports its progress in bytes, and verifying too")
    func progress() throws {
      let directory = try ModelDirectory()
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, #"{"verify": "values"}"#)
      let log = ProgressLog()
      let model = try makeHandle(xverse_model_release) {
        xverse_model_load(nil, directory.path, options.pointer, nil, ProgressLog.receive, log.user, $0)
      }
      #expect(Set(log.reports.map(\.phase)) == ["load", "verify"])
      #expect(log.reports.allSatisfy { 0 <= $0.done && $0.done <= $0.total })
      let bytes = try info(of: model).weight_bytes
      // Before each of the 21 tensors, and at the end.
      let verified = log.reports.filter { $0.phase == "verify" }.map(\.done)
      #expect(verified == verified.sorted() && verified.count == 22 && verified.last == bytes)
      #expect(log.reports.last?.phase == "load")
      #expect(log.reports.last?.done == bytes && log.reports.last?.total == bytes)
    }

    @Test("a progress callback may stop and cancel at every report, leaving nothing")
    func stopAndCancel() throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(nil, host)
      let directory = try ModelDirectory()
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, #"{"verify": "values"}"#)
      let complete = ProgressLog()
      func load(_ log: ProgressLog, _ cancel: Handle? = nil) -> (status: xverse_status, model: OpaquePointer?) {
        var model = OpaquePointer(bitPattern: 16)
        let status = xverse_model_load(
          runtime.pointer, directory.path, options.pointer, cancel?.pointer, ProgressLog.receive, log.user, &model)
        return (status, model)
      }
      xverse_model_release(load(complete).model)
      for number in 1...complete.reports.count {
        let stopped = load(ProgressLog(stoppingAfter: number))
        expect(stopped.status, is: XVERSE_STOPPED)
        #expect(stopped.model == nil && host.blocks == 0)
      }
      for number in 1..<complete.reports.count {
        let cancel = try makeCancel()
        let log = ProgressLog()
        log.onReport = { [unowned log] in if log.reports.count == number { xverse_cancel_trigger(cancel.pointer) } }
        let cancelled = load(log, cancel)
        expect(cancelled.status, is: XVERSE_E_CANCELLED)
        #expect(cancelled.model == nil && host.blocks == 0)
        #expect(log.reports.count == number)
      }
      let late = try makeCancel()
      xverse_cancel_reset(late.pointer, 1)
      usleep(3000)
      expect(load(ProgressLog(), late).status, is: XVERSE_E_DEADLINE)
    }

    // MARK: information

    @Test("inspect is JSON with the numbers of the files")
    func inspect() throws {
      let directory = try ModelDirectory()
      let model = try openModel(directory.path)
      let info = try info(of: model)
      var text: UnsafeMutablePointer<CChar>?
      var length = 0
      try check(xverse_model_inspect(directory.path, nil, &text, &length))
      defer { xverse_free(text) }
      let json = String(cString: try #require(text))
      #expect(json.utf8.count == length)
      let root = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
      let numbers: [String: Int] = [
        "n_params": Int(info.n_params), "weight_bytes": Int(info.weight_bytes), "n_layers": 2, "n_embd": 32,
        "n_ff": 48, "n_heads": 4, "n_kv_heads": 4, "n_vocab": Int(info.n_vocab), "n_ctx_train": 256,
      ]
      for (key, number) in numbers { #expect(root[key] as? Int == number, "\(key)") }
      #expect(root["format"] as? String == "safetensors")
      #expect(root["arch"] as? String == "xverse")
      let types = try #require(root["dtypes"] as? [String: [String: Int]])
      #expect(types == ["f32": ["elements": Int(info.n_params), "bytes": Int(info.weight_bytes)]])
      #expect(root["files"] as? [String: Int] == ["model.safetensors": 21])
      let generation = try #require(root["generation"] as? [String: Any])
      #expect(generation["eos_token_id"] as? [Int] == [3])
      #expect(root["tokenizer"] is [String: Any])
    }

    @Test("get_info has the sizes of config.json")
    func modelInfo() throws {
      let directory = try ModelDirectory()
      let info = try info(of: openModel(directory.path + "//"))
      let size = Int64(TinyCheckpoint().vocabularySize)
      #expect(info.n_layers == 2 && info.n_embd == 32 && info.n_ff == 48 && info.n_heads == 4 && info.n_kv_heads == 4)
      #expect(info.n_vocab == size && info.n_ctx_train == 256 && info.n_experts == 0 && info.n_experts_used == 0)
      #expect(info.n_params == 2 * size * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 48 + 2 * 32) + 32)
      #expect(info.weight_bytes == 4 * info.n_params)
    }

    @Test("the names of get_info are those of the model")
    func modelNames() throws {
      let directory = try ModelDirectory()
      let model = try openModel(directory.path + "//")
      let info = try info(of: model)
      #expect(String(cString: info.arch) == "xverse" && String(cString: info.quant) == "f32")
      #expect(directory.path.hasSuffix("/" + String(cString: info.name)))
    }

    @Test("an info struct of an older program is filled as far as it goes", arguments: [8, 16, 24, 28, 60, 80, 200])
    func truncatedInfo(size: Int) throws {
      let model = try openTinyModel()
      let full = try info(of: model)
      let room = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 16)
      defer { room.deallocate() }
      room.initializeMemory(as: UInt8.self, repeating: 0xA5, count: 256)
      room.storeBytes(of: UInt32(size), as: UInt32.self)
      try check(xverse_model_get_info(model.pointer, room.assumingMemoryBound(to: xverse_model_info.self)))
      let written = min(size, MemoryLayout<xverse_model_info>.size)
      let expected = withUnsafeBytes(of: full) { Array($0[4..<written]) }
      #expect(Array(UnsafeRawBufferPointer(start: room, count: 256)[4..<written]) == expected)
      #expect(room.load(as: UInt32.self) == UInt32(size))
      #expect(UnsafeRawBufferPointer(start: room, count: 256)[written...].allSatisfy { $0 == 0xA5 })
    }

    @Test("the library tells its version and how it was built")
    func library() throws {
      let version = String(cString: xverse_version())
      let parts = version.split(separator: ".").compactMap { Int32($0) }
      #expect(parts.count == 3)
      #expect(xverse_version_number() == parts[0] * 1_000_000 + parts[1] * 1000 + parts[2])
      let data = Data(String(cString: xverse_build_info()).utf8)
      let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      #expect(root["version"] as? String == version)
      let kernels = try #require(root["kernels"] as? [String])
      #expect(kernels.contains("reference") && kernels.contains(root["kernel"] as? String ?? ""))
      #expect(
        Set(root.keys) == [
          "version", "commit", "compiler", "kernels", "kernel", "openmp", "threading", "threading_reason",
        ])
      #expect(["openmp", "pthread"].contains(root["threading"] as? String))
      #expect(xverse_build_info() == xverse_build_info())
      let known = Set(-21...2).union([XVERSE_E_INTERNAL])
      let names = (-120...20).filter(known.contains).map { String(cString: xverse_status_name(Int32($0))) }
      #expect(Set(names).count == known.count)
      #expect(names.allSatisfy { $0.hasPrefix("XVERSE_") })
      for status in (-120...20) where !known.contains(status) {
        #expect(String(cString: xverse_status_name(Int32(status))) == "unknown status")
      }
    }

    @Test("the reference kernels agree with the CPU's, and one that it lacks is UNSUPPORTED")
    func instructionSets() throws {
      let directory = try ModelDirectory()
      let fast = try logits(openModel(directory.path, on: makeRuntime()))
      let plain = try logits(openModel(directory.path, on: makeRuntime(#"{"isa": "reference"}"#)))
      // Sums of at most 48 products in another order, in a model of 2 layers with logits of magnitude 10.
      #expect(zip(fast, plain).allSatisfy { abs($0 - $1) <= 1e-4 * max(1, abs($1)) })
    }

    @Test("XVERSE_NUM_THREADS is checked when a runtime is made")
    func environment() throws {
      defer { unsetenv("XVERSE_NUM_THREADS") }
      var out: OpaquePointer?
      for value in ["0", "-1", "many", "", "1025", "99999999999999999999"] {
        setenv("XVERSE_NUM_THREADS", value, 1)
        expect(
          xverse_runtime_create(nil, nil, &out), is: XVERSE_E_INVALID, saying: "XVERSE_NUM_THREADS", "'\(value)'")
      }
      setenv("XVERSE_NUM_THREADS", "2", 1)
      _ = try makeRuntime()
    }

    private func logits(_ model: Handle) throws -> [Float] {
      let session = try Session(model)
      try check(session.evaluate(someTokens(20)))
      return try session.logits
    }

    private func expectingSameLogits(_ left: Handle, _ right: Handle) throws -> xverse_status {
      #expect(try logits(left) == logits(right))
      return 0
    }
  }
}

/// The user pointer of a log function.
final class LogLines {
  private(set) var lines: [(level: Int32, text: String)] = []

  var user: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  static let receive: xverse_log_fn = { user, level, message, length in
    guard let user, let message, message[length] == 0 else { return }
    Unmanaged<LogLines>.fromOpaque(user).takeUnretainedValue().lines.append((level, String(cString: message)))
  }
}
