// SessionFixture.swift -- sessions, requests and answers in the words of a test.

import CXverse
import Foundation
import Testing

/// An xverse_session.
struct Session: Sendable {
  let handle: Handle

  init(_ model: Handle, _ json: String? = nil) throws {
    let options = try json.map { try makeOptions(XVERSE_OPTIONS_SESSION, $0) }
    handle = try makeHandle(xverse_session_free) { xverse_session_create(model.pointer, options?.pointer, $0) }
  }

  private init(_ handle: Handle) { self.handle = handle }

  func fork() throws -> Session {
    Session(try makeHandle(xverse_session_free) { xverse_session_fork(pointer, $0) })
  }

  var pointer: OpaquePointer? { handle.pointer }
  var length: Int64 { xverse_session_length(pointer) }

  var tokens: [Int32] { get throws { try delivered(0) { xverse_session_tokens(pointer, $0, $1, $2) } } }

  var logits: [Float] {
    get throws {
      var logits: UnsafePointer<Float>?
      var count = 0
      try check(xverse_session_logits(pointer, &logits, &count))
      return Array(UnsafeBufferPointer(start: logits, count: count))
    }
  }

  var stats: xverse_stats {
    get throws {
      var stats = xverse_stats()
      stats.size = UInt32(MemoryLayout<xverse_stats>.size)
      try check(xverse_session_stats(pointer, &stats))
      return stats
    }
  }

  func evaluate(_ tokens: [Int32], cancel: Handle? = nil) -> xverse_status {
    xverse_session_eval(pointer, tokens, tokens.count, cancel?.pointer, nil, nil)
  }

  func truncate(_ count: Int64) -> xverse_status { xverse_session_truncate(pointer, count) }

  func score(_ tokens: [Int32]) throws -> (logprobs: [Float], sum: Double) {
    var logprobs = [Float](repeating: .nan, count: tokens.count)
    var sum = Double.nan
    try check(xverse_session_score(pointer, tokens, tokens.count, nil, &logprobs, &sum))
    return (logprobs, sum)
  }

  func topLogprobs(_ k: Int) throws -> (tokens: [Int32], logprobs: [Float]) {
    var tokens = [Int32](repeating: -1, count: k)
    var logprobs = [Float](repeating: .nan, count: k)
    var count = 0
    try check(xverse_session_top_logprobs(pointer, Int32(k), &tokens, &logprobs, &count))
    return (Array(tokens.prefix(count)), Array(logprobs.prefix(count)))
  }

  /// Generates, collecting all events.
  ///
  /// - Parameter onEvent: Called with each event as it comes; returns what the stream callback returns.
  func generate(_ request: Request, cancel: Handle? = nil, onEvent: ((Event) -> Int32)? = nil) -> Answer {
    let collector = EventCollector(onEvent)
    var result: OpaquePointer?
    let status = withExtendedLifetime(collector) {
      xverse_session_generate(
        pointer, request.handle.pointer, cancel?.pointer, EventCollector.receive,
        Unmanaged.passUnretained(collector).toOpaque(), &result)
    }
    return Answer(status, Handle(result, xverse_result_free), collector.events)
  }
}

/// An xverse_request.
struct Request: Sendable {
  let handle: Handle

  /// - Parameters:
  ///   - text: Raw text.
  ///   - json: Sampling options.
  init(_ model: Handle, _ text: String? = nil, tokens: [Int32]? = nil, _ json: String? = nil) throws {
    handle = try makeHandle(xverse_request_free) { xverse_request_create(model.pointer, $0) }
    if let text { try check(xverse_request_add_text(pointer, text, text.utf8.count)) }
    if let tokens { try check(xverse_request_add_tokens(pointer, tokens, tokens.count)) }
    if let json { try set(json) }
  }

  var pointer: OpaquePointer? { handle.pointer }

  func set(_ json: String) throws {
    let options = try makeOptions(XVERSE_OPTIONS_SAMPLING, json)
    try check(xverse_request_set_options(pointer, options.pointer))
  }

  func add(_ role: String, _ text: String) -> xverse_status {
    xverse_request_add_message(pointer, role, text, text.utf8.count)
  }

  var tokens: [Int32] { get throws { try delivered(0) { xverse_request_tokens(pointer, $0, $1, $2) } } }
}

/// A copy of an xverse_event.
struct Event: Sendable {
  let kind: Int
  let text: String
  let tokens: [Int32]
  let logprobs: [Float]?
  let promptDone: Int64
  let promptTotal: Int64
  let finishReason: Int
  let status: Int

  init(_ event: xverse_event) {
    kind = Int(event.kind)
    text = terminated(event.text, event.text_len)
    tokens = Array(UnsafeBufferPointer(start: event.tokens, count: event.n_tokens))
    logprobs = event.logprobs.map { Array(UnsafeBufferPointer(start: $0, count: event.n_tokens)) }
    promptDone = event.n_prompt_done
    promptTotal = event.n_prompt_total
    finishReason = Int(event.finish_reason)
    status = Int(event.status)
  }
}

/// What a generation left: the status, the result if there is one, the events.
struct Answer: Sendable {
  let status: Int
  let message: String
  let result: Handle
  let events: [Event]

  init(_ status: xverse_status, _ result: Handle, _ events: [Event]) {
    self.status = Int(status)
    message = lastMessage
    self.result = result
    self.events = events
  }

  var hasResult: Bool { result.pointer != nil }

  var text: String {
    var text: UnsafePointer<CChar>?
    var length = 0
    guard xverse_result_text(result.pointer, &text, &length) == 0 else { return "no text: \(lastMessage)" }
    return terminated(text, length)
  }

  var tokens: [Int32] { arrays?.tokens ?? [] }
  var logprobs: [Float]? { arrays?.logprobs }

  private var arrays: (tokens: [Int32], logprobs: [Float]?)? {
    var tokens: UnsafePointer<Int32>?
    var logprobs: UnsafePointer<Float>?
    var count = 0
    guard xverse_result_tokens(result.pointer, &tokens, &logprobs, &count) == 0 else { return nil }
    return (
      Array(UnsafeBufferPointer(start: tokens, count: count)),
      logprobs.map { Array(UnsafeBufferPointer(start: $0, count: count)) }
    )
  }

  var stats: xverse_stats {
    var stats = xverse_stats()
    stats.size = UInt32(MemoryLayout<xverse_stats>.size)
    _ = xverse_result_stats(result.pointer, &stats)
    return stats
  }

  /// The text as a listener has put it together.
  var streamedText: String { events.map(\.text).joined() }
  var streamedTokens: [Int32] { events.flatMap(\.tokens) }
}

/// The text of `length` bytes, which may hold NUL like any other character and must have one behind it.
private func terminated(_ text: UnsafePointer<CChar>?, _ length: Int) -> String {
  guard let text, text[length] == 0 else { return "not NUL-terminated" }
  return String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
}

/// The user pointer of a stream callback.
final class EventCollector {
  private(set) var events: [Event] = []
  private let onEvent: ((Event) -> Int32)?

  init(_ onEvent: ((Event) -> Int32)?) { self.onEvent = onEvent }

  static let receive: xverse_stream_fn = { user, event in
    guard let user, let event else { return 1 }
    let collector = Unmanaged<EventCollector>.fromOpaque(user).takeUnretainedValue()
    let copy = Event(event.pointee)
    collector.events.append(copy)
    return collector.onEvent?(copy) ?? 0
  }
}

/// The user pointer of a progress callback: remembers what it was told, and may stop.
final class ProgressLog {
  private(set) var reports: [(phase: String, done: Int64, total: Int64)] = []
  /// Called with each report.
  var onReport: (() -> Void)?
  private let lastReport: Int

  /// - Parameter stoppingAfter: The number of the report that asks to stop; none by default.
  init(stoppingAfter lastReport: Int = .max) { self.lastReport = lastReport }

  var user: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  static let receive: xverse_progress_fn = { user, phase, done, total in
    guard let user, let phase else { return 1 }
    let log = Unmanaged<ProgressLog>.fromOpaque(user).takeUnretainedValue()
    log.reports.append((String(cString: phase), done, total))
    log.onReport?()
    return log.reports.count >= log.lastReport ? 1 : 0
  }
}

/// Runs `body` on threads of its own, all at once, and waits for them.
func onThreads(_ count: Int, _ body: @escaping @Sendable (_ index: Int) -> Void) {
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    let thread = Thread {
      body(index)
      group.leave()
    }
    thread.start()
  }
  group.wait()
}
