import Testing
import XVERSE

@Suite("Model")
struct ModelTests {
  @Test("streams an answer")
  func chat() async throws {
    let model = try await Demo.model.value
    #expect(try await joined(model.chat(Demo.spider, options: Demo.greedy)) == Demo.spiderAnswer)
  }

  @Test("that does not exist is an error that names the path")
  func missing() async throws {
    let error = try await #require(throws: XverseError.self) { try await Model("/nowhere") }
    #expect(error.status == .notFound && error.message.contains("/nowhere"))
    #expect("\(error)" == error.message)
  }

  @Test("knows its sizes, and the tokenizer its special tokens")
  func info() async throws {
    let model = try await Demo.model.value
    let info = try model.info()
    #expect(info.layers > 0 && info.vocabularySize == model.tokenizer.vocabularySize && info.name == "demo-model")
    #expect(model.tokenizer.id(of: .endOfSequence) != nil)
  }

  @Test("reports its progress while it loads, on a runtime of its own")
  func progress() async throws {
    let runtime = try Runtime(RuntimeOptions(threads: 1, threading: .pthread))
    let (phases, continuation) = AsyncStream.makeStream(of: String.self)
    let model = try await Model(Demo.path, options: ModelOptions(load: .read), runtime: runtime) {
      continuation.yield($0.phase)
    }
    continuation.finish()
    #expect(await phases.contains("load"))
    #expect(try runtime.memory().current > 0)
    #expect(try await joined(model.chat(Demo.spider, options: Demo.greedy)) == Demo.spiderAnswer)
  }

  @Test("logs to a closure")
  func log() async throws {
    let runtime = try Runtime(RuntimeOptions(threads: 1))
    let (lines, continuation) = AsyncStream.makeStream(of: String.self)
    try runtime.setLog(.debug) { level, line in
      if level != .off { continuation.yield(line) }
    }
    _ = try await Model(Demo.path, runtime: runtime)
    try runtime.setLog(.off, nil)
    continuation.finish()
    #expect(await lines.contains { !$0.isEmpty })
  }

  @Test("is not loaded by a task that is cancelled")
  func cancelledLoad() async throws {
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await Model(Demo.path)
    }
    let error = try await #require(throws: XverseError.self) { try await task.value }
    #expect(error.status == .cancelled)
  }

  @Test("can be inspected, estimated, converted and measured")
  func files() async throws {
    #expect(try await Model.inspect(Demo.path).contains("\"n_params\""))
    #expect(try await Model.estimate(Demo.path, session: SessionOptions(context: 64)).total > 0)
    try await withFolder { folder in
      try await Model.convert(Demo.path, to: folder + "/int8", options: ConversionOptions(quantize: .int8))
      let converted = try await Model(folder + "/int8")
      #expect(try converted.info().quantization == "int8")
      let text = "Once upon a time, a cheerful hedgehog lived in a little valley."
      let (perplexity, standardError) = try await converted.perplexity(text, options: ScoringOptions(windows: 1))
      #expect(perplexity > 1 && standardError >= 0)
      let error = try await #require(throws: XverseError.self) {
        try await Model.convert(Demo.path, to: folder + "/int8")
      }
      #expect(error.status == .misuse)
    }
  }
}

@Suite("Tokenizer")
struct TokenizerTests {
  @Test("gives a text back", arguments: ["", "Hello, 世界! <|endoftext|>", "a\u{0}b"])
  func roundTrip(text: String) throws {
    let tokenizer = try Tokenizer(path: Demo.path)
    let tokens = try tokenizer.encode(text)
    #expect(try tokenizer.decode(tokens) == text)
    let detokenizer = try tokenizer.detokenizer()
    var pieces = ""
    for token in tokens { pieces += try detokenizer.push(token) }
    pieces += try detokenizer.flush()
    #expect(pieces == text)
  }

  @Test("outlives its model")
  func outlivesModel() async throws {
    let tokenizer = try await Model(Demo.path, options: ModelOptions(vocabOnly: true)).tokenizer
    let end = try #require(tokenizer.id(of: .endOfSequence))
    #expect(try tokenizer.bytes(of: end).isSpecial)
    #expect(try tokenizer.encode("<|endoftext|>", special: true).count < tokenizer.encode("<|endoftext|>").count)
  }

  @Test("rejects ids that do not exist")
  func unknownID() throws {
    let tokenizer = try Tokenizer(path: Demo.path)
    let error = try #require(throws: XverseError.self) { try tokenizer.decode([-1]) }
    #expect(error.status == .range)
  }
}
