import Testing
import XVERSE

@Suite("Session")
struct SessionTests {
  @Test("streams what it also gives as a whole")
  func streamsTheAnswer() async throws {
    let session = try Session(try await Demo.model.value)
    let streamed = try await joined(session.chat(Demo.spider, options: Demo.greedy))
    let answer = try await session.generate(
      .messages(Demo.spider), options: SamplingOptions(temperature: 0, logprobs: true))
    #expect(streamed == Demo.spiderAnswer && answer.text == streamed)
    #expect(answer.finishReason == .endOfSequence && answer.logprobs?.count == answer.tokens.count)
    #expect(answer.statistics.cachedTokens > 0 && answer.statistics.generatedTokens == answer.tokens.count)
  }

  @Test("tells the events of an answer, which false ends")
  func stopsAtFalse() async throws {
    let session = try Session(try await Demo.model.value)
    let (events, continuation) = AsyncStream.makeStream(of: GenerationEvent.self)
    let answer = try await session.generate("Once upon a time", options: Demo.endless) { event in
      continuation.yield(event)
      if case .tokens = event { return false }
      return true
    }
    continuation.finish()
    #expect(answer.finishReason == .callback && answer.tokens.count == 1)
    #expect(await events.contains { if case .prefill(let done, let total) = $0 { done == total } else { false } })
  }

  @Test("ends an answer when its task is cancelled, and is valid afterwards")
  func cancellation() async throws {
    let session = try Session(try await Demo.model.value, options: SessionOptions(overflow: .shift))
    let (started, continuation) = AsyncStream.makeStream(of: Void.self)
    let task = Task {
      // With its context shifting, this answer has no end of its own.
      try await session.generate("Once upon a time", options: Demo.endless) { _ in
        continuation.yield()
        return true
      }
    }
    for await _ in started { break }
    task.cancel()
    let error = try await #require(throws: XverseError.self) { try await task.value }
    #expect(error.status == .cancelled)
    #expect(try await joined(session.chat(Demo.spider, options: Demo.greedy)) == Demo.spiderAnswer)
  }

  @Test("ends an answer when nobody reads on")
  func leavingTheLoop() async throws {
    let session = try Session(try await Demo.model.value, options: SessionOptions(overflow: .shift))
    for try await _ in session.stream("Once upon a time", options: Demo.endless) { break }
    // Would wait for ever if the first answer went on.
    #expect(try await joined(session.chat(Demo.spider, options: Demo.greedy)) == Demo.spiderAnswer)
  }

  @Test("ends a stream whose reader is cancelled")
  func cancelledReader() async throws {
    let session = try Session(try await Demo.model.value, options: SessionOptions(overflow: .shift))
    let reader = Task {
      var count = 0
      for try await _ in session.stream("Once upon a time", options: Demo.endless) {
        count += 1
        withUnsafeCurrentTask { $0?.cancel() }
      }
      return count
    }
    #expect(try await reader.value >= 1)
    #expect(try await joined(session.chat(Demo.spider, options: Demo.greedy)) == Demo.spiderAnswer)
  }

  @Test("ends with an error that a stream throws")
  func errors() async throws {
    let session = try Session(try await Demo.model.value)
    let error = try await #require(throws: XverseError.self) {
      try await joined(session.chat([.system("Be brief.")]))
    }
    #expect(error.status == .invalid)
    let range = try await #require(throws: XverseError.self) {
      try await joined(session.stream(.tokens([-1])))
    }
    #expect(range.status == .range)
  }

  @Test("gives the same answers beside others")
  func several() async throws {
    let model = try await Demo.model.value
    try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<6 {
        group.addTask { try await joined(Session(model).chat(Demo.spider, options: Demo.greedy)) }
      }
      for try await answer in group { #expect(answer == Demo.spiderAnswer) }
    }
  }

  @Test("makes calls of several tasks wait for each other")
  func oneAtATime() async throws {
    let session = try Session(try await Demo.model.value)
    try await withThrowingTaskGroup(of: Answer.self) { group in
      for _ in 0..<4 {
        group.addTask { try await session.generate(.messages(Demo.spider), options: Demo.greedy) }
      }
      for try await answer in group { #expect(answer.text == Demo.spiderAnswer) }
    }
  }

  @Test("answers requests of OpenAI's interface")
  func openAI() async throws {
    let session = try Session(try await Demo.model.value)
    let (chunks, continuation) = AsyncStream.makeStream(of: String.self)
    let request = #"{"prompt": "Once upon", "max_tokens": 4, "temperature": 0, "stream": true}"#
    let response = try await session.generateJSON(request) { chunk in
      continuation.yield(chunk)
      return true
    }
    continuation.finish()
    #expect(response.hasPrefix("{") && response.contains("\"completion_tokens\":4"))
    #expect(await chunks.reduce(0) { count, _ in count + 1 } > 1)
    let error = try await #require(throws: XverseError.self) { try await session.generateJSON("{") }
    #expect(error.status == .parse && error.offset == 1 && error.response?.hasPrefix("{") == true)
  }

  @Test("evaluates, scores and embeds tokens")
  func evaluation() async throws {
    let model = try await Demo.model.value
    let session = try Session(model)
    let tokens = try model.tokenizer.encode("A spider has eight legs.")
    try await session.evaluate(tokens)
    let logits = try await session.logits()
    let top = try await session.topLogprobs(2)
    let sampler = try Sampler(model, options: Demo.greedy)
    for token in tokens { try sampler.accept(token) }
    let chosen = try sampler.clone().sample(logits)
    #expect(chosen.token == top[0].token && chosen.logprob == top[0].logprob && session.length == tokens.count)
    #expect(try await session.tokens() == tokens)

    try await session.truncate(to: 0)
    let logprobs = try await session.score(tokens)
    #expect(logprobs.count == tokens.count && logprobs[0] == 0 && logprobs[1] < 0)
    #expect(try await session.score([]).isEmpty)
    try await session.truncate(to: 0)
    let state = try await session.embed(tokens, pooling: .mean, normalize: true)
    #expect(try state.count == model.info().hiddenSize)
    #expect(try await session.statistics().promptTokens == tokens.count)
  }

  @Test("goes on from a fork and from a file")
  func copies() async throws {
    let model = try await Demo.model.value
    let session = try Session(model)
    _ = try await session.generate(.messages(Demo.spider), options: Demo.greedy)
    try await session.setNote([1, 2, 3])
    let tokens = try await session.tokens()
    let fork = try await session.fork()
    try await session.truncate(to: 1)
    #expect(try await fork.tokens() == tokens)
    try await withFolder { folder in
      try await fork.save(to: folder + "/session")
      let restored = try Session(model)
      try await restored.restore(from: folder + "/session")
      #expect(try await restored.tokens() == tokens)
      #expect(try await restored.note() == [1, 2, 3])
      try await restored.setNote([])
      #expect(try await restored.note().isEmpty)
    }
    try await fork.setDraft(model)
    try await fork.setDraft(nil)
  }
}
