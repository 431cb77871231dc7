import Foundation
import Testing
import XVERSE

@Suite("Scheduler")
struct SchedulerTests {
  @Test("answers many at a time as a session does")
  func several() async throws {
    let scheduler = try Scheduler(try await Demo.model.value, options: SchedulerOptions(maxNumSeqs: 4))
    try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<8 {
        group.addTask { try await joined(scheduler.chat(Demo.spider, options: Demo.greedy)) }
      }
      for try await answer in group { #expect(answer == Demo.spiderAnswer) }
    }
    #expect(try scheduler.statistics().contains("\"finished\":8"))
  }

  @Test("gives the n answers of a request in order")
  func manyAnswers() async throws {
    let scheduler = try Scheduler(try await Demo.model.value)
    let options = SamplingOptions(temperature: 1, seed: 5, maxNewTokens: 12, logprobs: true, n: 3)
    let answers = try await scheduler.generateAll("Once upon a time", options: options)
    #expect(answers.count == 3 && answers.allSatisfy { $0.logprobs?.count == $0.tokens.count && !$0.tokens.isEmpty })
    var second = options
    second.seed = 6
    second.n = 1
    #expect(try await scheduler.generate("Once upon a time", options: second).text == answers[1].text)
    let error = try await #require(throws: XverseError.self) {
      try await scheduler.generate("Once upon a time", options: options)
    }
    #expect(error.status == .invalid)
  }

  @Test("ends an answer when its task is cancelled, and others go on")
  func cancellation() async throws {
    let scheduler = try Scheduler(try await Demo.model.value)
    let task = Task {
      try await scheduler.generate("Once upon a time", options: Demo.endless) { _ in
        withUnsafeCurrentTask { $0?.cancel() }
        return true
      }
    }
    let error = try await #require(throws: XverseError.self) { try await task.value }
    #expect(error.status == .cancelled)
    #expect(try await joined(scheduler.chat(Demo.spider, options: Demo.greedy)) == Demo.spiderAnswer)
  }

  @Test("ends an answer at false, with what there is of it")
  func stopsAtFalse() async throws {
    let scheduler = try Scheduler(try await Demo.model.value, options: SchedulerOptions(maxNumSeqs: 1))
    // 64 answers of 400 tokens, one after the other, take much longer than the first chunk takes to be read.
    let request = #"{"prompt": "Once", "max_tokens": 400, "n": 64, "stream": true}"#
    let response = try await scheduler.generateJSON(request) { _ in false }
    #expect(response.isEmpty)
    let statistics = try JSONDecoder().decode([String: Double].self, from: Data(scheduler.statistics().utf8))
    #expect(try #require(statistics["generated_tokens"]) < 64 * 400 / 2)
    let answer = try await scheduler.generate("Once upon a time", options: Demo.endless) { _ in false }
    #expect(!answer.tokens.isEmpty && answer.text.count < 512)
  }

  @Test("answers the same with a draft model")
  func draft() async throws {
    let model = try await Demo.model.value
    let scheduler = try Scheduler(model)
    try await scheduler.setDraft(model)
    #expect(try await joined(scheduler.chat(Demo.spider, options: Demo.greedy)) == Demo.spiderAnswer)
    try await scheduler.setDraft(nil)
    #expect(try await joined(scheduler.chat(Demo.spider, options: Demo.greedy)) == Demo.spiderAnswer)
  }

  @Test("refuses more than its queue holds")
  func queueFull() async throws {
    let options = SchedulerOptions(maxNumSeqs: 1, maxQueuedRequests: 0)
    let scheduler = try Scheduler(try await Demo.model.value, options: options)
    let error = try await #require(throws: XverseError.self) {
      try await scheduler.generateAll("Once", options: SamplingOptions(maxNewTokens: 1, n: 2))
    }
    #expect(error.status == .queueFull)
    #expect(try await scheduler.generate(.messages(Demo.spider), options: Demo.greedy).text == Demo.spiderAnswer)
  }

  @Test("lives until its answers have ended")
  func outlivedByStreams() async throws {
    let stream = try Scheduler(try await Demo.model.value).chat(Demo.spider, options: Demo.greedy)
    #expect(try await joined(stream) == Demo.spiderAnswer)
  }

  @Test("answers requests of OpenAI's interface")
  func openAI() async throws {
    let scheduler = try Scheduler(try await Demo.model.value)
    let response = try await scheduler.generateJSON(#"{"prompt": "Once", "max_tokens": 4, "temperature": 0}"#)
    #expect(response.hasPrefix("{") && response.contains("\"completion_tokens\":4"))
    let (chunks, continuation) = AsyncStream.makeStream(of: String.self)
    let streamed = try await scheduler.generateJSON(#"{"prompt": "Once", "max_tokens": 4, "stream": true}"#) { chunk in
      continuation.yield(chunk)
      return true
    }
    continuation.finish()
    #expect(streamed.isEmpty)
    #expect(await chunks.reduce(true) { $0 && $1.hasPrefix("{") && $1.hasSuffix("}") })
    let error = try await #require(throws: XverseError.self) { try await scheduler.generateJSON("[]") }
    #expect(error.response?.hasPrefix("{") == true)
  }
}
