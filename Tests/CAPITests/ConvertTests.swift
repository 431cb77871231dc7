// ConvertTests.swift -- quantizing while loading, and xverse_convert, which writes what that makes: all or nothing.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Quantization")
  struct ConvertTests {
    /// Options of MODEL and of CONVERT, and what the matrices then are.
    static let schemes = [(#"{"quantize": "int8"}"#, "int8"), (#"{"quantize": "int4"}"#, "int4")]

    private let source: ModelDirectory
    private let place: TemporaryDirectory
    private var destination: String { place.path + "/new" }

    init() throws {
      source = try ModelDirectory()
      place = try TemporaryDirectory()
      try place.write("text.txt", String(repeating: "the world in an hour, and on. ", count: 40))
    }

    /// What stands beside the calibration text.
    private var written: [String] {
      get throws { try FileManager.default.contentsOfDirectory(atPath: place.path).filter { $0 != "text.txt" } }
    }

    /// The options with the calibration text.
    private func calibrated(_ json: String) -> String {
      json.replacingOccurrences(of: "}", with: #", "calibration": "\#(place.path)/text.txt"}"#)
    }

    private func convert(
      _ json: String? = nil, from path: String? = nil, to destination: String? = nil, on runtime: Handle? = nil,
      cancel: Handle? = nil, log: ProgressLog? = nil
    ) throws -> xverse_status {
      let options = try json.map { try makeOptions(XVERSE_OPTIONS_CONVERT, $0) }
      return xverse_convert(
        runtime?.pointer, path ?? source.path, destination ?? self.destination, options?.pointer, cancel?.pointer,
        log == nil ? nil : ProgressLog.receive, log?.user)
    }

    private func weightType(of model: Handle) throws -> String {
      try withExtendedLifetime(model) { String(cString: try info(of: model).quant) }
    }

    private func logits(_ model: Handle, _ tokens: [Int32] = someTokens(70)) throws -> [Float] {
      let session = try Session(model)
      try check(session.evaluate(tokens))
      return try session.logits
    }

    // MARK: what comes out

    @Test("a model is quantized while it is loaded, and says so", arguments: schemes)
    func quantizesOnLoad(json: String, name: String) throws {
      let float = try info(of: openModel(source.path))

      let model = try openModel(source.path, json)

      #expect(try weightType(of: model) == name)
      let quantized = try info(of: model)
      #expect(quantized.n_params == float.n_params)
      // 370 x 32 for embedding and head; of a layer four times 32 x 32, twice 48 x 32 and 32 x 48; norms in f32.
      let layer = name == "int8" ? 18 * 544 : 18 * 288
      #expect(quantized.weight_bytes == Int64(2 * 24 * 544 + 2 * layer + 5 * 32 * 4))
    }

    @Test("a model in several files has the bits of one in a single file")
    func convertsToShards() throws {
      try check(convert(#"{"quantize": "int8", "max_shard_size": 10000}"#))

      let names = try FileManager.default.contentsOfDirectory(atPath: destination)
      #expect(names.filter { $0.hasSuffix(".safetensors") }.count > 2)
      #expect(names.contains("model.safetensors.index.json"))
      #expect(try logits(openModel(destination)) == logits(openModel(source.path, #"{"quantize": "int8"}"#)))
    }

    @Test("a converted model has the bits of one quantized while it is loaded", arguments: schemes)
    func convertsWhatLoads(json: String, name: String) throws {
      for options in [json, calibrated(json)] {
        let loaded = try openModel(source.path, options)
        try check(convert(options))

        let converted = try openModel(destination)

        #expect(try weightType(of: converted) == name)
        #expect(try info(of: converted).weight_bytes == info(of: loaded).weight_bytes)
        #expect(try logits(converted) == logits(loaded))
        #expect(try written == ["new"])
        try FileManager.default.removeItem(atPath: destination)
      }
    }

    @Test("calibration changes what comes out", arguments: schemes)
    func calibrates(json: String, name: String) throws {
      let plain = try logits(openModel(source.path, json))

      let found = try logits(openModel(source.path, calibrated(json)))

      #expect(found != plain && found.allSatisfy { $0.isFinite })
    }

    @Test("without options the model is written as it is", arguments: [nil, "{}", #"{"quantize": "none"}"#])
    func copies(json: String?) throws {
      try check(convert(json))

      let copy = try openModel(destination)

      #expect(try weightType(of: copy) == "f32")
      #expect(try logits(copy) == logits(openModel(source.path)))
      #expect(
        try Data(contentsOf: URL(fileURLWithPath: destination + "/config.json"))
          == Data(source.bytes(of: "config.json")))
    }

    @Test(
      "the new directory has the files of the old one, and the kind of its weights in config.json", arguments: schemes)
    func writesDirectory(json: String, name: String) throws {
      try check(convert(json))

      let files = try FileManager.default.contentsOfDirectory(atPath: destination).sorted()
      #expect(files == ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"])
      for file in ["generation_config.json", "tokenizer.json"] {
        #expect(try Data(contentsOf: URL(fileURLWithPath: destination + "/" + file)) == Data(source.bytes(of: file)))
      }
      let config = try Data(contentsOf: URL(fileURLWithPath: destination + "/config.json"))
      var object = try #require(try JSONSerialization.jsonObject(with: config) as? [String: Any])
      let quantization = object.removeValue(forKey: "quantization_config") as? [String: Any]
      #expect(quantization?["quant_method"] as? String == "xverse" && quantization?["type"] as? String == name)
      #expect(quantization?["group_size"] as? Int == 32)
      let old = try JSONSerialization.jsonObject(with: Data(source.bytes(of: "config.json"))) as? [String: Any]
      #expect(NSDictionary(dictionary: object) == NSDictionary(dictionary: old ?? [:]))
    }

    @Test("inspect tells the types of a converted model and counts its blocks")
    func inspects() throws {
      try check(convert(#"{"quantize": "int4"}"#))

      var text: UnsafeMutablePointer<CChar>?
      try check(xverse_model_inspect(destination, nil, &text, nil))
      defer { xverse_free(text) }

      let json = Data(String(cString: try #require(text)).utf8)
      let root = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
      let types = try #require(root["dtypes"] as? [String: [String: Int]])
      #expect(types["int4"] == ["elements": 2 * 18 * 512, "bytes": 2 * 18 * 288])
      #expect(types["int8"] == ["elements": 2 * 24 * 512, "bytes": 2 * 24 * 544])
      #expect(types["f32"] == ["elements": 5 * 32, "bytes": 5 * 32 * 4])
    }

    @Test("a quantized model gives the same logits token by token and on any number of threads", arguments: schemes)
    func ignoresHowItRuns(json: String, name: String) throws {
      try check(convert(json))
      let tokens = someTokens(70)
      let expected = try logits(openModel(destination, on: makeRuntime(#"{"threads": 1}"#)), tokens)

      let session = try Session(openModel(destination, on: makeRuntime(#"{"threads": 1}"#)))
      for token in tokens { try check(session.evaluate([token])) }

      #expect(try session.logits == expected)
      #expect(try logits(openModel(destination, on: makeRuntime(#"{"threads": 3}"#)), tokens) == expected)
    }

    @Test("a converted model with a scale that is not finite fails verify=values")
    func verifiesScales() throws {
      try check(convert(#"{"quantize": "int8"}"#))
      let path = destination + "/model.safetensors"
      let file = try SafetensorsFile([UInt8](Data(contentsOf: URL(fileURLWithPath: path))))
      let name = "model.layers.1.mlp.up_proj.weight"
      // The scales of the first block stand behind its 512 numbers; of a float all bits but the sign.
      let spoiled = file.replacing(name, element: 128, with: Float(bitPattern: 0x7C00_7C00))
      try Data(spoiled.bytes).write(to: URL(fileURLWithPath: path))
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, #"{"verify": "values"}"#)
      var out: OpaquePointer?

      expect(xverse_model_open(destination, options.pointer, &out), is: XVERSE_E_CORRUPT, saying: name, "element 0")
      _ = try openModel(destination)
    }

    @Test("vocab_only quantizes nothing")
    func vocabularyOnly() throws {
      let model = try openModel(source.path, #"{"vocab_only": 1, "quantize": "int4"}"#)

      #expect(try weightType(of: model) == "none")
    }

    // MARK: what is refused

    @Test("a destination that is there is MISUSE and stays as it is")
    func convertsTwice() throws {
      try check(convert(#"{"quantize": "int4"}"#))
      let before = try Data(contentsOf: URL(fileURLWithPath: destination + "/model.safetensors"))

      expect(try convert(#"{"quantize": "int8"}"#), is: XVERSE_E_MISUSE, saying: "exists already")
      expect(try convert(to: source.path), is: XVERSE_E_MISUSE, saying: source.path)
      expect(try convert(to: place.path + "/text.txt"), is: XVERSE_E_MISUSE, saying: "text.txt")

      #expect(try Data(contentsOf: URL(fileURLWithPath: destination + "/model.safetensors")) == before)
      #expect(try written == ["new"])
    }

    @Test(
      "places that cannot be written",
      arguments: [
        ("", XVERSE_E_INVALID, "empty"), ("/", XVERSE_E_MISUSE, "/"),
        ("/dev/null/x", XVERSE_E_NOTFOUND, "/dev/null/x"), ("/nowhere/x", XVERSE_E_NOTFOUND, "/nowhere/x"),
        ("/sys/xverse", XVERSE_E_IO, "/sys/xverse"), (String(repeating: "p", count: 300), XVERSE_E_INVALID, "ppp"),
        (String(repeating: "p/", count: 3000), XVERSE_E_INVALID, "6000 bytes"),
      ])
    func badDestinations(path: String, status: Int, word: String) throws {
      if path.hasPrefix("/sys/"), !FileManager.default.fileExists(atPath: "/sys/kernel") {
        try Test.cancel("/sys is an ordinary folder here, as in a chroot: root can write to it")
      }
      expect(try convert(to: path), is: status, saying: word)
      #expect(!lastMessage.contains("\n") && lastMessage.utf8.count < 1000)
    }

    @Test("a source that is no model leaves nothing, with the words of loading")
    func badSources() throws {
      expect(try convert(from: "/nowhere"), is: XVERSE_E_NOTFOUND, saying: "/nowhere")
      expect(try convert(from: ""), is: XVERSE_E_INVALID)
      try source.write("model.safetensors", [1, 2, 3])
      expect(try convert(), is: XVERSE_E_CORRUPT, saying: "model.safetensors")
      #expect(try written == [])
    }

    @Test("what is quantized already is not quantized again, but written as it is", arguments: schemes)
    func quantizesOnce(json: String, name: String) throws {
      try check(convert(json))
      let again = place.path + "/again"
      let words = "model.embed_tokens.weight"
      var out = OpaquePointer(bitPattern: 16)
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, json)

      for options in [json, calibrated(json)] {
        expect(
          try convert(options, from: destination, to: again), is: XVERSE_E_UNSUPPORTED, saying: words, "int8 already")
      }
      expect(xverse_model_open(destination, options.pointer, &out), is: XVERSE_E_UNSUPPORTED, saying: words)
      #expect(out == nil)
      #expect(try written == ["new"])
      try check(convert(from: destination, to: again))

      for file in ["config.json", "model.safetensors"] {
        let copies = try [destination, again].map { try Data(contentsOf: URL(fileURLWithPath: $0 + "/" + file)) }
        #expect(copies[0] == copies[1], "\(file)")
      }
    }

    @Test("a weight that cannot be quantized is named", arguments: [Float.nan, .infinity, -5000])
    func badWeights(value: Float) throws {
      let name = "model.layers.1.mlp.up_proj.weight"
      let whole = try SafetensorsFile(source.bytes(of: "model.safetensors"))
      try source.write("model.safetensors", whole.replacing(name, element: 5, with: value).bytes)

      for (json, type) in Self.schemes {
        let limit = type == "int8" ? "beyond 4096" : "beyond 64"
        expect(try convert(json), is: XVERSE_E_CORRUPT, saying: name, "rows 0 to 47", limit)
        // What a layer does with such a weight before it is quantized itself shows in its inputs first.
        #expect(try convert(calibrated(json)) < 0)
      }
      #expect(try written == [])
      try check(convert())
    }

    // MARK: calibration texts

    @Test(
      "calibration files that are none",
      arguments: [
        ("missing", XVERSE_E_NOTFOUND, "nowhere.txt"), ("empty", XVERSE_E_CORRUPT, "empty"),
        ("directory", XVERSE_E_UNSUPPORTED, "directory"), ("FIFO", XVERSE_E_UNSUPPORTED, "FIFO"),
        ("short", XVERSE_E_RANGE, "at least 16"), ("huge", XVERSE_E_LIMIT, "67108865 bytes"),
      ])
    func badTexts(kind: String, status: Int, word: String) throws {
      let texts = try TemporaryDirectory()
      let path = texts.path + "/nowhere.txt"
      switch kind {
      case "empty": try texts.write("nowhere.txt", "")
      case "directory": try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
      case "FIFO": #expect(mkfifo(path, 0o600) == 0)
      case "short": try texts.write("nowhere.txt", "the")
      case "huge":
        try texts.write("nowhere.txt", "the")
        #expect(truncate(path, 67_108_865) == 0)
      default: break
      }
      for (_, name) in Self.schemes {
        let json = #"{"quantize": "\#(name)", "calibration": "\#(path)"}"#
        let options = try makeOptions(XVERSE_OPTIONS_MODEL, json)
        var out = OpaquePointer(bitPattern: 16)
        expect(xverse_model_open(source.path, options.pointer, &out), is: status, saying: word)
        #expect(out == nil)
        expect(try convert(json), is: status, saying: word)
      }
      #expect(try written == [])
    }

    @Test("a calibration without quantize is INVALID", arguments: ["", #", "quantize": "none""#])
    func calibrationAlone(members: String) throws {
      let json = #"{"calibration": "\#(place.path)/text.txt"\#(members)}"#
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, json)
      var out: OpaquePointer?

      expect(
        xverse_model_open(source.path, options.pointer, &out), is: XVERSE_E_INVALID, saying: "calibration", "quantize")
      expect(try convert(json), is: XVERSE_E_INVALID, saying: "calibration", "quantize")
      #expect(try written == [])
    }

    @Test("text that is not UTF-8 calibrates as its bytes", arguments: schemes)
    func calibratesOnBytes(json: String, name: String) throws {
      try place.write("text.txt", (0..<400).map { UInt8(truncatingIfNeeded: 0x80 + $0 * 7) })

      let model = try openModel(source.path, calibrated(json))

      #expect(try weightType(of: model) == name)
      #expect(try logits(model).allSatisfy { $0.isFinite })
    }

    @Test("a text of one token again and again, which tells next to nothing, calibrates too", arguments: schemes)
    func calibratesOnOneToken(json: String, name: String) throws {
      try place.write("text.txt", String(repeating: "x", count: 300))

      #expect(try logits(openModel(source.path, calibrated(json))).allSatisfy { $0.isFinite })
    }

    // MARK: ending it

    @Test("the phases of a conversion", arguments: schemes)
    func progress(json: String, name: String) throws {
      for (options, middle) in [(json, "quantize"), (calibrated(json), "calibrate")] {
        let log = ProgressLog()
        try check(convert(options, log: log))

        var phases: [String] = []
        for report in log.reports where report.phase != phases.last { phases.append(report.phase) }
        #expect(phases == ["load", middle, "write"])
        #expect(log.reports.allSatisfy { 0 <= $0.done && $0.done <= $0.total })
        for phase in [middle, "write"] {
          let done = log.reports.filter { $0.phase == phase }
          #expect(done.map(\.done) == done.map(\.done).sorted() && done.last?.done == done.last?.total)
        }
        try FileManager.default.removeItem(atPath: destination)
      }
    }

    @Test("stop and cancel at every report leave no file and no memory", arguments: schemes)
    func stopAndCancel(json: String, name: String) throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      for options in [json, calibrated(json)] {
        let complete = ProgressLog()
        try check(convert(options, on: runtime, log: complete))
        try FileManager.default.removeItem(atPath: destination)
        let held = host.blocks
        for number in 1...complete.reports.count {
          expect(try convert(options, on: runtime, log: ProgressLog(stoppingAfter: number)), is: XVERSE_STOPPED)
          #expect(try written == [] && host.blocks == held, "report \(number)")
        }
        for number in 1..<complete.reports.count {
          let cancel = try makeCancel()
          let log = ProgressLog()
          log.onReport = { [unowned log] in if log.reports.count == number { xverse_cancel_trigger(cancel.pointer) } }
          expect(try convert(options, on: runtime, cancel: cancel, log: log), is: XVERSE_E_CANCELLED)
          #expect(try written == [] && host.blocks == held, "report \(number)")
        }
      }
      let late = try makeCancel()
      xverse_cancel_reset(late.pointer, 1)
      usleep(3000)
      expect(try convert(json, cancel: late), is: XVERSE_E_DEADLINE)
      #expect(try written == [])
      #expect(host.faults == [])
    }

    @Test("memory that ends leaves no file and no memory", arguments: schemes)
    func outOfMemory(json: String, name: String) throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      for options in [json, calibrated(json)] {
        try check(convert(options, on: runtime))
        try FileManager.default.removeItem(atPath: destination)
        let held = host.blocks
        var (number, refused) = (0, 0)
        while true {
          let failures = host.failures
          host.fail(number..<number + 1)
          let status = try convert(options, on: runtime)
          host.recover()
          if host.failures == failures { break }
          number += 1
          // Work memory that cannot become one block stays in several.
          guard status != XVERSE_OK else {
            try FileManager.default.removeItem(atPath: destination)
            continue
          }
          expect(status, is: XVERSE_E_NOMEM, saying: "memory")
          #expect(try written == [] && host.blocks == held, "request \(number)")
          refused += 1
        }
        #expect(refused > 20)
        try FileManager.default.removeItem(atPath: destination)
      }
      #expect(host.faults == [])
    }
  }
}
