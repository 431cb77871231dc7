// GGUFTests.swift -- models in GGUF files through the C ABI.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("GGUF models")
  struct GGUFTests {
    private func logits(_ model: Handle) throws -> [Float] {
      let session = try Session(model)
      try check(session.evaluate(someTokens(9)))
      return try session.logits
    }

    /// The tiny model as GGUF in a directory of its own, or what `change` makes of it.
    private func directory(
      _ name: String = "tiny.gguf", _ checkpoint: TinyCheckpoint = TinyCheckpoint(),
      _ change: (inout GGUFFile) -> Void = { _ in }
    ) throws -> TemporaryDirectory {
      let directory = try TemporaryDirectory()
      var file = checkpoint.gguf
      change(&file)
      try directory.write(name, file.bytes)
      return directory
    }

    private func status(_ path: String, _ json: String = "{}") throws -> xverse_status {
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, json)
      var model: OpaquePointer?
      defer { xverse_model_release(model) }
      return xverse_model_open(path, options.pointer, &model)
    }

    private func inspect(_ path: String) throws -> [String: Any] {
      var json: UnsafeMutablePointer<CChar>?
      try check(xverse_model_inspect(path, nil, &json, nil))
      defer { xverse_free(json) }
      let text = String(cString: try #require(json))
      return try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test(
      "have the logits of the same weights in safetensors",
      arguments: ["{}", #"{"load": "read"}"#, #"{"verify": "values"}"#, #"{"quantize": "int4"}"#], [4, 2])
    func agreeWithSafetensors(json: String, kvHeads: Int) throws {
      var checkpoint = TinyCheckpoint()
      checkpoint.kvHeadCount = kvHeads
      let original = try ModelDirectory(checkpoint)
      let expected = try logits(openModel(original.path, json))
      let directory = try directory("tiny.gguf", checkpoint)
      let model = try openModel(directory.path + "/tiny.gguf", json)
      #expect(try logits(model).map(\.bitPattern) == expected.map(\.bitPattern))
      #expect(String(cString: try info(of: model).arch) == "xverse")
      #expect(try logits(openModel(directory.path, json)) == expected)
    }

    @Test("tied, and with heads that are wider than hidden size by heads")
    func takesOtherShapes() throws {
      var checkpoint = TinyCheckpoint()
      checkpoint.tiesWordEmbeddings = true
      checkpoint.headSize = 16
      let original = try ModelDirectory(checkpoint)
      let expected = try logits(openModel(original.path))
      let directory = try directory("tiny.gguf", checkpoint)
      #expect(try logits(openModel(directory.path)).map(\.bitPattern) == expected.map(\.bitPattern))
    }

    @Test("from a source, under the name model.gguf")
    func loadFromSource() throws {
      let directory = try directory("model.gguf")
      let files = try MemoryFiles(directory: directory.path)
      files.pieceLength = 777
      let model = try makeHandle(xverse_model_release) { files.load(into: &$0.pointee) }
      #expect(try logits(model) == logits(openModel(directory.path)))
    }

    @Test("every failing read of a source is IO, and nothing is left")
    func reportFailingReads() throws {
      let directory = try directory("model.gguf")
      let files = try MemoryFiles(directory: directory.path)
      var model: OpaquePointer?
      try check(files.load(into: &model))
      xverse_model_release(model)
      for read in 0..<files.readCount {
        let host = RecordingHost()
        let runtime = try makeRuntime(nil, host)
        files.failingRead = read
        var model = OpaquePointer(bitPattern: 16)
        expect(files.load(on: runtime, into: &model), is: XVERSE_E_IO, saying: "model.gguf")
        #expect(model == nil && host.blocks == 0, "read \(read)")
      }
    }

    @Test("a tokenizer.json beside the file, or the one of the option, goes before the file's own")
    func chooseTokenizers() throws {
      let other = try ModelDirectory()
      let directory = try directory("tiny.gguf") { $0["tokenizer.ggml.model"] = .string("unknown") }
      expect(try status(directory.path), is: XVERSE_E_UNSUPPORTED, saying: "tiny.gguf", "unknown", "tokenizer.json")
      for path in [other.path, other.file("tokenizer.json")] {
        let model = try openModel(directory.path, #"{"tokenizer": "\#(path)"}"#)
        #expect(try encode(model, "the") == encode(openModel(other.path), "the"))
      }
      try directory.write("tokenizer.json", other.bytes(of: "tokenizer.json"))
      #expect(try encode(openModel(directory.path), "the") == encode(openModel(other.path), "the"))
      expect(
        try status(directory.path, #"{"tokenizer": "/nowhere"}"#), is: XVERSE_E_NOTFOUND, saying: "/nowhere")
      expect(
        try status(other.path, #"{"tokenizer": "\#(other.file("config.json"))"}"#), is: XVERSE_E_UNSUPPORTED,
        saying: "config.json")
    }

    @Test("without merges tell that ids may differ, and how to get them right")
    func warnOfDoubt() throws {
      let directory = try directory()
      let runtime = try makeRuntime()
      let lines = LogLines()
      try check(xverse_runtime_set_log(runtime.pointer, LogLines.receive, lines.user, Int32(XVERSE_LOG_WARN)))
      let model = try openModel(directory.path, on: runtime)
      try check(xverse_runtime_set_log(runtime.pointer, nil, nil, 0))
      #expect(lines.lines.count == 1)
      let text = lines.lines.first?.text ?? ""
      #expect(text.contains("tiny.gguf") && text.contains("tokenizer.json"))
      #expect(try decode(model, encode(model, "Hello")) == "Hello")
    }

    @Test("alone make a tokenizer")
    func openTokenizer() throws {
      let directory = try directory()
      let tokenizer = try makeHandle(xverse_tokenizer_release) {
        xverse_tokenizer_open(directory.path + "/tiny.gguf", $0)
      }
      #expect(xverse_tokenizer_special(tokenizer.pointer, Int32(XVERSE_TOKEN_EOS)) == 3)
    }

    @Test("are described by inspect")
    func areInspected() throws {
      let directory = try directory()
      let json = try inspect(directory.path)
      #expect(json["format"] as? String == "gguf" && json["arch"] as? String == "xverse")
      #expect((json["dtypes"] as? [String: Any])?.keys.sorted() == ["f32"])
      #expect((json["files"] as? [String: Int])?["tiny.gguf"] == TinyCheckpoint().tensors.count)
      #expect((json["tokenizer"] as? [String: Any])?["kind"] as? String == "BPE without merges, byte fallback")
    }

    @Test("report the conversion of what must be converted")
    func reportProgress() throws {
      let directory = try directory()
      let log = ProgressLog()
      let model = try withExtendedLifetime(log) {
        try makeHandle(xverse_model_release) {
          xverse_model_load(nil, directory.path, nil, nil, ProgressLog.receive, log.user, $0)
        }
      }
      let imports = log.reports.filter { $0.phase == "import" }
      // Queries and keys of both layers, [32, 32] in f32.
      #expect(imports.map(\.done) == [0, 4096, 8192, 12_288, 16_384] && imports.allSatisfy { $0.total == 16_384 })
      #expect(try info(of: model).weight_bytes > 0)
    }

    @Test("with a NaN fail verify=values, naming where it is in the file")
    func verifyValues() throws {
      let directory = try directory { file in
        let index = file.tensors.firstIndex { $0.name == Array("blk.1.attn_q.weight".utf8) } ?? 0
        file.tensors[index].data.replaceSubrange(400..<404, with: [0, 0, 0xC0, 0x7F])
      }
      _ = try openModel(directory.path)
      expect(
        try status(directory.path, #"{"verify": "values"}"#), is: XVERSE_E_CORRUPT,
        saying: "tiny.gguf: tensor 'blk.1.attn_q.weight' has a NaN or infinite value at element 100,")
    }

    @Test("several in one directory: the path of one is needed")
    func needOnePath() throws {
      let directory = try directory("b.gguf")
      try directory.write("a.gguf", TinyCheckpoint().gguf.bytes)
      expect(
        try status(directory.path), is: XVERSE_E_INVALID, saying: "'a.gguf' and 'b.gguf'", "expected the path of one")
      _ = try openModel(directory.path + "/a.gguf")
    }

    @Test("lacking a tensor, or with one of another shape, name it")
    func nameTensors() throws {
      let missing = try directory { $0.tensors.removeAll { $0.name == Array("blk.0.ffn_up.weight".utf8) } }
      expect(try status(missing.path), is: XVERSE_E_CORRUPT, saying: "tensor 'blk.0.ffn_up.weight' is missing")
      let turned = try directory { file in
        let index = file.tensors.firstIndex { $0.name == Array("blk.0.ffn_up.weight".utf8) } ?? 0
        file.tensors[index].dimensions.reverse()
      }
      expect(
        try status(turned.path), is: XVERSE_E_CORRUPT,
        saying: "tiny.gguf: tensor 'blk.0.ffn_up.weight' has shape [32, 48], expected [48, 32]")
    }

    @Test(
      "of the reference model have the logits of its other files", .enabled(if: SharedData.isAvailable),
      arguments: [("stories260k-xverse-f32.gguf", "hf-f32"), ("stories260k-xverse-f16.gguf", "hf-f16-sharded")])
    func agreeOnReferenceModel(file: String, directory: String) throws {
      let root = SharedData.file("data/stories260k-xverse/")
      let (gguf, expected) = try (openModel(root + file), openModel(root + directory))
      let tokens = try encode(expected, "Once upon a time, there was a little girl named Lily.")
      #expect(try encode(gguf, "Once upon a time, there was a little girl named Lily.") == tokens)
      let results = try [gguf, expected].map { model in
        let session = try Session(model)
        try check(session.evaluate([1] + tokens))
        return try session.logits.map(\.bitPattern)
      }
      #expect(results[0] == results[1])
    }
  }
}
