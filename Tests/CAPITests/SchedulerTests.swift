// SchedulerTests.swift -- section 11 of xverse.h: many requests from many threads, their events, and the end.

import CXverse
import Foundation
import Glibc
import TestSupport
import Testing

/// An xverse_scheduler.
struct Scheduler: Sendable {
  let handle: Handle

  init(_ model: Handle, _ json: String = "{}") throws {
    let options = try makeOptions(XVERSE_OPTIONS_SCHEDULER, json)
    handle = try makeHandle(xverse_scheduler_free) { xverse_scheduler_create(model.pointer, options.pointer, $0) }
  }

  var pointer: OpaquePointer? { handle.pointer }

  func submit(_ request: Request) throws -> UInt64 {
    var id: UInt64 = 0
    try check(xverse_scheduler_submit(pointer, request.pointer, &id))
    return id
  }

  /// The next event and its answer's number; nil when none came in time.
  func next(_ timeout: Int32 = -1) throws -> (id: UInt64, event: Event, stats: xverse_stats?, message: String?)? {
    var event: UnsafePointer<xverse_event>?
    let status = xverse_scheduler_next(pointer, timeout, &event)
    if status == XVERSE_TIMEOUT {
      #expect(event == nil)
      return nil
    }
    try check(status)
    let found = try #require(event?.pointee)
    return (found.request_id, Event(found), found.stats?.pointee, found.message.map { String(cString: $0) })
  }

  /// Reads until so many answers have ended.
  func answers(_ count: Int) throws -> [UInt64: [Event]] {
    var events: [UInt64: [Event]] = [:]
    var ended = 0
    while ended < count {
      guard let (id, event, _, _) = try next() else { continue }
      events[id, default: []].append(event)
      if event.kind == XVERSE_EVENT_FINISHED { ended += 1 }
    }
    return events
  }

  var stats: [String: Double] {
    get throws {
      var json: UnsafeMutablePointer<CChar>?
      var length = 0
      try check(xverse_scheduler_stats(pointer, &json, &length))
      defer { xverse_free(json) }
      let data = Data(bytes: try #require(json), count: length)
      return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Double])
    }
  }
}

/// Whether the descriptor is readable within so many milliseconds.
private func isReadable(_ descriptor: Int32, _ timeout: Int32 = 0) -> Bool {
  var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
  return poll(&entry, 1, timeout) == 1
}

extension ABI {
  @Suite("Scheduler")
  struct SchedulerTests {
    let model: Handle

    init() throws { model = try openTinyModel() }

    private func request(_ number: Int, _ more: String = "") throws -> Request {
      let seed = number % 3 == 0 ? "" : "\"temperature\": 1.2, \"seed\": \(number), "
      return try Request(
        model, tokens: Array(someTokens(30 + number).dropFirst(number % 7)),
        "{\(seed)\"max_new_tokens\": \(5 + number), \"logprobs\": 1\(more)}")
    }

    @Test("20 answers at once are those of sessions")
    func answersAll() throws {
      let scheduler = try Scheduler(model, #"{"max_num_seqs": 8, "max_num_batched_tokens": 32}"#)
      let requests = try (0..<20).map { try request($0) }

      let ids = try requests.map { try scheduler.submit($0) }
      let events = try scheduler.answers(20)

      #expect(ids == Array(1...20))
      for (id, request) in zip(ids, requests) {
        let alone = try Session(model).generate(request)
        let told = try #require(events[id])
        #expect(told.flatMap(\.tokens) == alone.tokens)
        #expect(told.map(\.text).joined() == alone.text)
        #expect(told.flatMap { $0.logprobs ?? [] }.map(\.bitPattern) == alone.logprobs?.map(\.bitPattern))
        #expect(told.last?.kind == XVERSE_EVENT_FINISHED)
        #expect(told.last?.finishReason == Int(alone.stats.finish_reason))
        #expect(told.dropLast().allSatisfy { $0.kind == XVERSE_EVENT_TOKENS })
      }
      let stats = try scheduler.stats
      #expect(stats["finished"] == 20 && stats["running"] == 0 && stats["waiting"] == 0 && stats["unread"] == 0)
      #expect(stats["generated_tokens"] == Double(events.values.joined().reduce(0) { $0 + $1.tokens.count }))
    }

    @Test("a draft model changes no answer and is counted; one of another runtime, or without weights, is refused")
    func setsDraft() throws {
      let scheduler = try Scheduler(model, #"{"max_num_seqs": 4}"#)
      try check(xverse_scheduler_set_draft(scheduler.pointer, model.pointer, nil))
      let stranger = try openTinyModel(on: makeRuntime())
      expect(
        xverse_scheduler_set_draft(scheduler.pointer, stranger.pointer, nil), is: XVERSE_E_MISMATCH, saying: "runtime")
      let directory = try ModelDirectory()
      let empty = try openModel(directory.path, #"{"vocab_only": 1}"#)
      expect(
        xverse_scheduler_set_draft(scheduler.pointer, empty.pointer, nil), is: XVERSE_E_MISUSE, saying: "vocab_only")
      let requests = try (0..<6).map { try request(3 * $0, ", \"ignore_eos\": 1") }

      let ids = try requests.map { try scheduler.submit($0) }
      let events = try scheduler.answers(6)

      for (id, request) in zip(ids, requests) {
        #expect(events[id]?.flatMap(\.tokens) == (try Session(model).generate(request)).tokens)
      }
      #expect(try scheduler.stats["draft_tokens"] ?? 0 > 0, "the draft set before stays")
      try check(xverse_scheduler_set_draft(scheduler.pointer, nil, nil))
      let without = try scheduler.stats["draft_tokens"]
      _ = try scheduler.submit(requests[5])
      _ = try scheduler.answers(1)
      #expect(try scheduler.stats["draft_tokens"] == without)
    }

    @Test("the end has the answer's figures")
    func tellsStats() throws {
      let scheduler = try Scheduler(model)
      let id = try scheduler.submit(try request(3))
      var end: (id: UInt64, event: Event, stats: xverse_stats?, message: String?)?
      while end?.event.kind != XVERSE_EVENT_FINISHED { end = try scheduler.next() }

      #expect(end?.id == id)
      #expect(end?.stats?.n_prompt == 30)
      #expect(end?.stats?.n_generated == 8)
      #expect(end?.stats?.finish_reason == Int32(XVERSE_FINISH_LENGTH))
      #expect(end?.message == nil)
      #expect((end?.stats?.ns_first_token ?? 0) > 0)
      #expect((end?.stats?.ns_first_token ?? 0) >= (end?.stats?.ns_queue ?? 0) + (end?.stats?.ns_prefill ?? 0))
    }

    @Test("n answers have consecutive numbers, seeds, and one prompt")
    func answersSeveralTimes() throws {
      let scheduler = try Scheduler(model)
      let prompt = someTokens(40)
      let json = { (n: Int, seed: Int) in
        "{\"temperature\": 1, \"seed\": \(seed), \"max_new_tokens\": 12, \"n\": \(n)}"
      }
      let id = try scheduler.submit(try Request(model, tokens: prompt, json(4, 50)))
      let events = try scheduler.answers(4)

      #expect(Set(events.keys) == Set(id..<id + 4))
      for index in 0..<4 {
        let alone = try Session(model).generate(Request(model, tokens: prompt, json(1, 50 + index)))
        #expect(events[id + UInt64(index)]?.flatMap(\.tokens) == alone.tokens)
      }
      // The last token of a prompt is evaluated for each of its answers.
      #expect(try scheduler.stats["prompt_tokens"] == 40 + 3)
      let refused = try Session(model).generate(Request(model, tokens: prompt, json(2, 1)))
      #expect(refused.status == XVERSE_E_INVALID && refused.message.contains("'n' is 2"))
    }

    @Test("the descriptor is readable exactly while there are events")
    func signalsEvents() throws {
      let scheduler = try Scheduler(model)
      let descriptor = xverse_scheduler_fd(scheduler.pointer)
      #expect(!isReadable(descriptor))
      #expect(try scheduler.next(0) == nil)
      #expect(try scheduler.next(5) == nil)

      _ = try scheduler.submit(try request(1))
      #expect(isReadable(descriptor, 10_000))
      var ended = false
      while !ended {
        #expect(isReadable(descriptor, 10_000))
        while let (_, event, _, _) = try scheduler.next(0) { ended = ended || event.kind == XVERSE_EVENT_FINISHED }
      }
      #expect(!isReadable(descriptor))
    }

    @Test("a full queue refuses at once, with its numbers, until ends are read")
    func refuses() throws {
      let scheduler = try Scheduler(model, #"{"max_num_seqs": 2, "max_queued_requests": 3}"#)
      for index in 0..<5 { _ = try scheduler.submit(try request(index)) }
      // Finished or not, nobody has read them.
      let another = try request(1)
      defer { withExtendedLifetime(another) {} }
      var id: UInt64 = 9
      let status = xverse_scheduler_submit(scheduler.pointer, another.pointer, &id)
      expect(status, is: XVERSE_E_QUEUE_FULL, saying: "max_num_seqs + max_queued_requests = 5")
      #expect(id == 0)

      var ended = 0
      while ended < 2 { ended += try scheduler.next()?.event.kind == Int(XVERSE_EVENT_FINISHED) ? 1 : 0 }
      _ = try scheduler.submit(try request(1, #", "n": 2"#))
      expect(xverse_scheduler_submit(scheduler.pointer, another.pointer, &id), is: XVERSE_E_QUEUE_FULL, saying: "5")
      _ = try scheduler.answers(5)
    }

    @Test("cancel and deadline end an answer, and say so")
    func interrupts() throws {
      let scheduler = try Scheduler(model, #"{"max_num_seqs": 2}"#)
      let long = try Request(model, tokens: someTokens(9), #"{"max_new_tokens": 240, "ignore_eos": 1}"#)
      let kept = try scheduler.submit(long)
      let cancelled = try scheduler.submit(long)
      let waiting = try scheduler.submit(long)
      let late = try scheduler.submit(
        Request(model, tokens: someTokens(9), #"{"max_new_tokens": 240, "ignore_eos": 1, "deadline_ms": 1}"#))
      try check(xverse_scheduler_cancel(scheduler.pointer, cancelled))
      try check(xverse_scheduler_cancel(scheduler.pointer, waiting))
      let events = try scheduler.answers(4)

      for id in [cancelled, waiting] {
        #expect(events[id]?.last?.finishReason == Int(XVERSE_FINISH_CANCELLED))
        #expect(events[id]?.last?.status == XVERSE_E_CANCELLED)
      }
      #expect(events[late]?.last?.finishReason == Int(XVERSE_FINISH_DEADLINE))
      #expect(events[late]?.last?.status == XVERSE_OK)
      #expect(events[kept]?.flatMap(\.tokens).count == 240)
      try check(xverse_scheduler_cancel(scheduler.pointer, kept))
      expect(xverse_scheduler_cancel(scheduler.pointer, 99), is: XVERSE_E_INVALID, saying: "id is 99")
      expect(xverse_scheduler_cancel(scheduler.pointer, 0), is: XVERSE_E_INVALID, saying: "id is 0")
    }

    @Test("requests that cannot be answered are refused")
    func checksRequests() throws {
      let scheduler = try Scheduler(model, #"{"context": 20}"#)
      var id: UInt64 = 0
      func submit(_ request: Request) -> xverse_status {
        xverse_scheduler_submit(scheduler.pointer, request.pointer, &id)
      }
      expect(submit(try Request(model)), is: XVERSE_E_INVALID, saying: "no tokens")
      expect(submit(try Request(model, tokens: someTokens(21))), is: XVERSE_E_CONTEXT_FULL, saying: "context is 20")
      let other = try openTinyModel()
      expect(submit(try Request(other, tokens: someTokens(5))), is: XVERSE_E_MISMATCH, saying: "different models")
      #expect(try scheduler.next(0) == nil)
    }

    @Test("freed with answers in flight, by one thread while others wait")
    func freesInFlight() throws {
      for round in 0..<20 {
        let scheduler = try Scheduler(model)
        for index in 0..<8 { _ = try scheduler.submit(try request(index)) }
        var event: UnsafePointer<xverse_event>?
        if round % 2 == 0 { _ = xverse_scheduler_next(scheduler.pointer, -1, &event) }
        scheduler.handle.end()
      }
      let scheduler = try Scheduler(model)
      let pointer = Pointer(scheduler.pointer)
      let outcome = Guarded((status: xverse_status(0), message: ""))
      onThreads(2) { index in
        if index == 0 {
          var event: UnsafePointer<xverse_event>?
          let status = xverse_scheduler_next(pointer.pointer, -1, &event)
          outcome.withLock { $0 = (status, lastMessage) }
        } else {
          usleep(50_000)
          scheduler.handle.end()
        }
      }
      let (status, message) = outcome.withLock { $0 }
      #expect(status == XVERSE_E_MISUSE && message.contains("freed"))
    }

    /// Submits a request of OpenAI's interface and reads until it has ended.
    private func complete(_ json: String, _ scheduler: Scheduler) throws -> (chunks: [String], end: Event) {
      var id: UInt64 = 0
      try check(xverse_scheduler_submit_json(scheduler.pointer, json, json.utf8.count, &id, nil, nil))
      var chunks: [String] = []
      while true {
        guard let (found, event, _, _) = try scheduler.next() else { continue }
        #expect(found == id)
        if event.kind == XVERSE_EVENT_FINISHED { return (chunks, event) }
        #expect(event.kind == XVERSE_EVENT_JSON && event.text.hasSuffix("\n"))
        chunks += event.text.split(separator: "\n").map(String.init)
      }
    }

    private func object(_ text: some StringProtocol) throws -> [String: Any] {
      try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test("a request of OpenAI's interface gets its response, with all answers")
    func completes() throws {
      let scheduler = try Scheduler(model)
      let (chunks, end) = try complete(
        #"{"prompt": "Hu", "n": 3, "seed": 7, "temperature": 1.5, "max_tokens": 12, "ignore_eos": true}"#, scheduler)
      let response = try object(end.text)
      let choices = try #require(response["choices"] as? [[String: Any]])

      #expect(chunks.isEmpty && end.status == XVERSE_OK)
      #expect(choices.map { $0["index"] as? Int } == [0, 1, 2])
      for (index, choice) in choices.enumerated() {
        let alone = try Session(model).generate(
          Request(
            model, "Hu",
            "{\"seed\": \(7 + index), \"temperature\": 1.5, \"top_k\": 0, \"max_new_tokens\": 12, \"ignore_eos\": 1}"))
        #expect(choice["text"] as? String == alone.text)
        #expect(choice["finish_reason"] as? String == "length")
      }
      #expect((response["usage"] as? [String: Any])?["completion_tokens"] as? Int == 36)
    }

    @Test("the chunks of a stream joined are the response")
    func streams() throws {
      let scheduler = try Scheduler(model)
      let fields = #""n": 2, "seed": 3, "temperature": 1.2, "max_tokens": 20, "logprobs": true, "top_logprobs": 2"#
      let messages = #""messages": [{"role": "user", "content": "Hi"}]"#
      let (_, whole) = try complete("{\(messages), \(fields)}", scheduler)
      let (chunks, end) = try complete(
        "{\(messages), \(fields), \"stream\": true, \"stream_options\": {\"include_usage\": true}}", scheduler)
      var text = ["", ""]
      var logprobs = [0, 0]
      var reasons: [String] = []
      var usage: [String: Any]?
      for line in chunks + end.text.split(separator: "\n").map(String.init) {
        let chunk = try object(line)
        for choice in try #require(chunk["choices"] as? [[String: Any]]) {
          let index = try #require(choice["index"] as? Int)
          text[index] += (choice["delta"] as? [String: Any])?["content"] as? String ?? ""
          logprobs[index] += ((choice["logprobs"] as? [String: Any])?["content"] as? [Any])?.count ?? 0
          if let reason = choice["finish_reason"] as? String { reasons.append(reason) }
        }
        if let found = chunk["usage"] as? [String: Any] { usage = found }
      }

      let response = try object(whole.text)
      let choices = try #require(response["choices"] as? [[String: Any]])
      for (index, choice) in choices.enumerated() {
        #expect((choice["message"] as? [String: Any])?["content"] as? String == text[index])
        #expect(((choice["logprobs"] as? [String: Any])?["content"] as? [Any])?.count == logprobs[index])
      }
      #expect(reasons.count == 2)
      #expect(
        usage?["completion_tokens"] as? Int == (response["usage"] as? [String: Any])?["completion_tokens"] as? Int)
    }

    @Test("a request that is refused or cancelled gets the error object")
    func refusesRequests() throws {
      let scheduler = try Scheduler(model)
      var id: UInt64 = 1
      var error: UnsafeMutablePointer<CChar>?
      var length = 0
      let json = #"{"prompt": "Hu", "tools": [{}]}"#
      let status = xverse_scheduler_submit_json(scheduler.pointer, json, json.utf8.count, &id, &error, &length)
      defer { xverse_free(error) }
      #expect(status < 0 && id == 0)
      let text = String(cString: try #require(error))
      #expect(text.utf8.count == length)
      #expect((try object(text)["error"] as? [String: Any])?["param"] as? String == "tools")

      let long = #"{"prompt": "Hu", "n": 2, "max_tokens": 240, "ignore_eos": true}"#
      try check(xverse_scheduler_submit_json(scheduler.pointer, long, long.utf8.count, &id, nil, nil))
      try check(xverse_scheduler_cancel(scheduler.pointer, id))
      var end: Event?
      while end?.kind != XVERSE_EVENT_FINISHED { end = try scheduler.next()?.event }
      #expect(end?.status == XVERSE_E_CANCELLED)
      #expect((try object(end?.text ?? "")["error"] as? [String: Any])?["code"] as? String == "cancelled")
      #expect(try scheduler.stats["unread"] == 0)
    }

    @Test("freed with ten thousand ends that nobody has read, on a small stack")
    func freesUnread() throws {
      let scheduler = try Scheduler(model, #"{"max_queued_requests": 65536}"#)
      for number in 0..<10 {
        let id = try scheduler.submit(
          Request(model, tokens: someTokens(3), "{\"n\": 1000, \"max_new_tokens\": \(100 + number)}"))
        for answer in id..<id + 1000 { try check(xverse_scheduler_cancel(scheduler.pointer, answer)) }
      }
      while try scheduler.stats["unread"] != 10_000 { usleep(1000) }
      let thread = Thread { scheduler.handle.end() }
      thread.stackSize = 256 << 10
      thread.start()
      while !thread.isFinished { usleep(1000) }
    }

    @Test("cancel ends the other answers of a request whose first has ended")
    func cancelsTheRest() throws {
      let scheduler = try Scheduler(model, #"{"max_num_seqs": 1}"#)
      let json = #"{"prompt": "Hu", "n": 2, "max_tokens": 200, "ignore_eos": true, "stream": true}"#
      var id: UInt64 = 0
      try check(xverse_scheduler_submit_json(scheduler.pointer, json, json.utf8.count, &id, nil, nil))
      var isFirstOver = false
      var end: Event?
      while end == nil {
        guard let event = try scheduler.next()?.event else { continue }
        if event.kind == XVERSE_EVENT_FINISHED { end = event }
        if !isFirstOver, event.text.contains("length") {
          isFirstOver = true
          try check(xverse_scheduler_cancel(scheduler.pointer, id))
        }
      }
      #expect(isFirstOver && end?.status == XVERSE_E_CANCELLED)
    }

    @Test("several threads submit and read: nothing is lost, nothing is told twice")
    func servesThreads() throws {
      let scheduler = try Scheduler(model, #"{"max_num_seqs": 4, "max_queued_requests": 100}"#)
      let (writers, readers, each) = (3, 3, 12)
      let told = Guarded([UInt64: [Event]]())
      let ids = Guarded([Int: UInt64]())
      let ends = Guarded(0)
      onThreads(writers + readers) { thread in
        if thread < writers {
          for number in thread * each..<(thread + 1) * each {
            guard let id = try? scheduler.submit(try request(number)) else { continue }
            ids.withLock { $0[number] = id }
          }
          return
        }
        while ends.withLock({ $0 }) < writers * each {
          guard let (id, event, _, _) = try? scheduler.next(10) else { continue }
          told.withLock { $0[id, default: []].append(event) }
          if event.kind == XVERSE_EVENT_FINISHED { ends.withLock { $0 += 1 } }
        }
      }

      let numbers = ids.withLock { $0 }
      #expect(Set(numbers.values).count == writers * each)
      for (number, id) in numbers {
        let alone = try Session(model).generate(try request(number))
        let events = told.withLock { $0[id] ?? [] }
        #expect(events.filter { $0.kind == XVERSE_EVENT_FINISHED }.count == 1)
        #expect(events.flatMap(\.tokens).sorted() == alone.tokens.sorted())
      }
    }
  }
}

/// A handle for another thread.
private struct Pointer: @unchecked Sendable {
  let pointer: OpaquePointer?

  init(_ pointer: OpaquePointer?) { self.pointer = pointer }
}
