// ConvertGGUFTests.swift -- xverse_convert to GGUF files and from them: all or nothing.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Conversion of GGUF")
  struct ConvertGGUFTests {
    private let source: ModelDirectory
    private let place: TemporaryDirectory
    private var file: String { place.path + "/new.gguf" }

    init() throws {
      var checkpoint = TinyCheckpoint()
      checkpoint.dtype = .float16
      checkpoint.kvHeadCount = 2
      checkpoint.intermediateSize = 64
      source = try ModelDirectory(checkpoint)
      place = try TemporaryDirectory()
    }

    private var written: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: place.path) } }

    private func convert(
      _ json: String = #"{"format": "gguf"}"#, from path: String? = nil, to destination: String? = nil,
      on runtime: Handle? = nil, log: ProgressLog? = nil
    ) throws -> xverse_status {
      let options = try makeOptions(XVERSE_OPTIONS_CONVERT, json)
      return xverse_convert(
        runtime?.pointer, path ?? source.path, destination ?? file, options.pointer, nil,
        log == nil ? nil : ProgressLog.receive, log?.user)
    }

    private func logits(_ path: String, _ json: String? = nil) throws -> [Float] {
      let session = try Session(openModel(path, json))
      try check(session.evaluate(someTokens(20)))
      return try session.logits
    }

    private func inspect(_ path: String) throws -> [String: Any] {
      var json: UnsafeMutablePointer<CChar>?
      try check(xverse_model_inspect(path, nil, &json, nil))
      defer { xverse_free(json) }
      let text = String(cString: try #require(json))
      return try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test("f16 keeps every bit of a model in f16, there and back")
    func keepsBits() throws {
      let expected = try logits(source.path)
      try check(convert())
      #expect(try logits(file).map(\.bitPattern) == expected.map(\.bitPattern))
      #expect(try inspect(file)["arch"] as? String == "xverse")

      let back = place.path + "/back"
      try check(convert("{}", from: file, to: back))
      #expect(try logits(back).map(\.bitPattern) == expected.map(\.bitPattern))
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: back).sorted() == [
          "config.json", "model.safetensors", "tokenizer.gguf",
        ])
      let (there, again) = try (openModel(file), openModel(back))
      #expect(try encode(again, "the world in 10") == encode(there, "the world in 10"))
    }

    @Test("the tokenizer of the option goes with the model")
    func takesTokenizer() throws {
      try check(convert())
      let back = place.path + "/back"
      try check(convert(#"{"tokenizer": "\#(source.path)"}"#, from: file, to: back))
      #expect(
        FileManager.default.contents(atPath: back + "/tokenizer.json")
          == FileManager.default.contents(atPath: source.file("tokenizer.json")))
    }

    @Test(
      "q8_0 and q4_0 have these types, and are read as they are written",
      arguments: [("q8_0", ["f32", "q8_0"], 0.03), ("q4_0", ["f32", "q4_0", "q8_0"], 0.3)])
    func quantizes(type: String, types: [String], error: Double) throws {
      try check(convert(#"{"format": "gguf", "type": "\#(type)"}"#))
      #expect((try inspect(file)["dtypes"] as? [String: Any])?.keys.sorted() == types)
      // Against the spread of the logits: a wrong order of rows or codes would give 1 or more.
      let (found, expected) = try (logits(file), logits(source.path))
      let errors = zip(found, expected).map { Double($0 - $1) * Double($0 - $1) }
      let mean = expected.reduce(0) { $0 + Double($1) } / Double(expected.count)
      let spread = expected.map { (Double($0) - mean) * (Double($0) - mean) }
      #expect(errors.reduce(0, +) > 0 && errors.reduce(0, +) < error * error * spread.reduce(0, +))

      // The blocks that the file became stand in the directory as they are.
      let back = place.path + "/back"
      try check(convert("{}", from: file, to: back))
      #expect(try logits(back) == found)
    }

    @Test("rows that are no whole blocks stay f16")
    func keepsRaggedRows() throws {
      let ragged = try ModelDirectory()
      try check(convert(#"{"format": "gguf", "type": "q8_0"}"#, from: ragged.path))
      #expect((try inspect(file)["dtypes"] as? [String: Any])?.keys.sorted() == ["f16", "f32", "q8_0"])
      _ = try logits(file)
    }

    @Test("a tied model, whose head llama.cpp's xverse would miss, is a llama")
    func writesTiedModels() throws {
      var checkpoint = TinyCheckpoint()
      checkpoint.dtype = .float16
      checkpoint.tiesWordEmbeddings = true
      let tied = try ModelDirectory(checkpoint)
      try check(convert(from: tied.path))
      #expect(try inspect(file)["arch"] as? String == "llama")
      #expect(try logits(file).map(\.bitPattern) == logits(tied.path).map(\.bitPattern))
    }

    @Test(
      "options that do not go together are INVALID, and nothing is written",
      arguments: [
        (#"{"type": "q8_0"}"#, "format=gguf"), (#"{"format": "gguf", "quantize": "int8"}"#, "type=q8_0"),
        (#"{"format": "gguf", "calibration": "x"}"#, "calibration"),
      ])
    func refusesOptions(json: String, word: String) throws {
      expect(try convert(json), is: XVERSE_E_INVALID, saying: word)
      #expect(try written == [])
    }

    @Test("a weight that no f16 holds, and dynamic scaling, are named, and nothing is written")
    func refusesModels() throws {
      let dynamic = try ModelDirectory()
      try dynamic.edit("config.json", ["rope_scaling": ["rope_type": "dynamic", "factor": 2]])
      expect(try convert(from: dynamic.path), is: XVERSE_E_UNSUPPORTED, saying: "rope_scaling is dynamic")
      let large = try ModelDirectory()
      var bytes = try large.bytes(of: "model.safetensors")
      bytes.replaceSubrange(bytes.count - 4..<bytes.count, with: [0, 0, 0x80, 0x47])
      try large.write("model.safetensors", bytes)
      expect(try convert(from: large.path), is: XVERSE_E_CORRUPT, saying: "beyond 65504")
      #expect(try written == [])
    }

    @Test("a destination that exists or cannot be is refused before any work")
    func refusesDestinations() throws {
      try place.write("new.gguf", "mine")
      expect(try convert(), is: XVERSE_E_MISUSE, saying: "new.gguf exists already")
      #expect(FileManager.default.contents(atPath: file) == Data("mine".utf8))
      expect(try convert(to: place.path + "/none/new.gguf"), is: XVERSE_E_NOTFOUND, saying: "/none/new.gguf")
      #expect(try written == ["new.gguf"])
    }

    @Test("stopping at every report, and memory that ends, leave no file and no memory")
    func leavesNothing() throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      let complete = ProgressLog()
      try check(convert(on: runtime, log: complete))
      #expect(complete.reports.last?.phase == "write" && complete.reports.last?.done == complete.reports.last?.total)
      try FileManager.default.removeItem(atPath: file)
      let held = host.blocks
      for number in 1...complete.reports.count {
        expect(try convert(on: runtime, log: ProgressLog(stoppingAfter: number)), is: XVERSE_STOPPED)
        #expect(try written == [] && host.blocks == held, "report \(number)")
      }
      var number = 0
      while true {
        let failures = host.failures
        host.fail(number..<number + 1)
        let status = try convert(on: runtime)
        host.recover()
        if host.failures == failures { break }
        number += 1
        guard Int(status) != XVERSE_OK else {
          try FileManager.default.removeItem(atPath: file)
          continue
        }
        expect(status, is: XVERSE_E_NOMEM)
        #expect(try written == [], "allocation \(number)")
      }
      #expect(number > 10)
    }
  }
}
