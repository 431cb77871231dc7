// AnswerEvents.swift -- what the listeners of a scheduler have not read yet: for each answer at most one event of tokens and
// one of its end, whatever has happened meanwhile.

import CEventFD
import Glibc
import XverseCore

/// What happened to one answer since it was last told.
///
/// Threads: `AnswerEvents` guards it.
final class AnswerOutbox {
  let id: UInt64
  fileprivate var text: Buffer<UInt8>
  fileprivate var tokens: Buffer<Int32>
  fileprivate var logprobs: Buffer<Float>
  fileprivate var topTokens: Buffer<Int32>
  fileprivate var topLogprobs: Buffer<Float>
  fileprivate var finalText: Buffer<UInt8>
  fileprivate var end: AnswerEnd?
  fileprivate var isReady = false
  fileprivate var next: AnswerOutbox?
  fileprivate let allocator: MemoryAllocator

  init(id: UInt64, allocator: MemoryAllocator) {
    self.id = id
    self.allocator = allocator
    text = Buffer(allocator: allocator)
    tokens = Buffer(allocator: allocator)
    logprobs = Buffer(allocator: allocator)
    topTokens = Buffer(allocator: allocator)
    topLogprobs = Buffer(allocator: allocator)
    finalText = Buffer(allocator: allocator)
  }

  fileprivate var hasTokens: Bool { !tokens.isEmpty || !text.isEmpty }
}

/// How an answer ended.
package struct AnswerEnd {
  package let reason: FinishReason
  package let error: XverseError?
  package let statistics: SessionStatistics
  /// All of the answer; nil after an error.
  package let result: GenerationResult?

  package init(
    reason: FinishReason, error: XverseError?, statistics: SessionStatistics, result: GenerationResult?
  ) {
    (self.reason, self.error, self.statistics, self.result) = (reason, error, statistics, result)
  }
}

/// A token that an answer has got, with what is told of it.
struct ToldToken {
  let token: Int32
  /// nil unless wanted.
  let logprob: Float?
  /// The most probable tokens in its place, if wanted.
  let top: (tokens: UnsafeBufferPointer<Int32>, logprobs: UnsafeBufferPointer<Float>)
}

/// One event, as a listener gets it.
package final class SchedulerEvent {
  package let id: UInt64
  /// UTF-8, followed by a NUL that `textLength` does not include.
  package let text: Buffer<UInt8>
  package let tokens: Buffer<Int32>
  /// As many as `tokens`, or none.
  package let logprobs: Buffer<Float>
  /// For each of `tokens` the most probable ones in its place, or none.
  package let topTokens: Buffer<Int32>
  package let topLogprobs: Buffer<Float>
  /// nil for an event of tokens.
  package let end: AnswerEnd?

  /// Everything that waits to be told of tokens.
  fileprivate init(tokensOf outbox: AnswerOutbox) {
    id = outbox.id
    text = outbox.text.moved()
    tokens = outbox.tokens.moved()
    logprobs = outbox.logprobs.moved()
    topTokens = outbox.topTokens.moved()
    topLogprobs = outbox.topLogprobs.moved()
    end = nil
  }

  /// An event without tokens.
  package init(id: UInt64, text: consuming Buffer<UInt8>, end: AnswerEnd?) {
    self.id = id
    tokens = Buffer(allocator: text.allocator)
    logprobs = Buffer(allocator: text.allocator)
    topTokens = Buffer(allocator: text.allocator)
    topLogprobs = Buffer(allocator: text.allocator)
    self.text = text
    self.end = end
  }

  package var textLength: Int { max(0, text.count - 1) }
}

/// The answers that have something to tell, in the order in which they came to have it.
///
/// Threads: any thread may call any member at any time.
final class AnswerEvents: @unchecked Sendable {
  /// Readable while there are events: an eventfd.
  let descriptor: Int32
  private let monitor = Monitor()
  private var first: AnswerOutbox?
  private var last: AnswerOutbox?
  private var isClosed = false
  /// Ends that nobody has read.
  private var unreadCount = 0
  /// Answers that were taken and whose end nobody has read.
  private var openCount = 0

  init() throws(XverseError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    guard descriptor >= 0 else {
      throw XverseError(.io, "cannot make an eventfd: \(String(cString: strerror(errno)))")
    }
  }

  deinit {
    // One after the other: a long list that ends by itself does so in as many nested calls.
    while let outbox = first { (first, outbox.next) = (outbox.next, nil) }
    if descriptor >= 0 { Glibc.close(descriptor) }
  }

  // MARK: writing

  /// Takes places for `count` answers, until their ends are read; returns whether there were as many below `most`.
  func open(_ count: Int, most: Int) -> Bool {
    monitor.locked {
      guard count <= most - openCount else { return false }
      openCount += count
      return true
    }
  }

  /// Gives back places of answers that never came to be.
  func giveBack(_ count: Int) { monitor.locked { openCount -= count } }

  /// Adds tokens and text of an answer.
  ///
  /// - Throws: `outOfMemory`; nothing was added.
  func post(
    _ told: ToldToken, _ text: UnsafeBufferPointer<UInt8>, to outbox: AnswerOutbox
  ) throws(XverseError) {
    try monitor.locked { () throws(XverseError) in
      try outbox.tokens.reserve(outbox.tokens.count + 1)
      try outbox.logprobs.reserve(outbox.logprobs.count + 1)
      try outbox.topTokens.reserve(outbox.topTokens.count + told.top.tokens.count)
      try outbox.topLogprobs.reserve(outbox.topLogprobs.count + told.top.logprobs.count)
      // Room for the NUL of the event, which then loses nothing for want of it.
      try outbox.text.reserve(outbox.text.count + text.count + 1)
      try outbox.tokens.append(told.token)
      if let logprob = told.logprob { try outbox.logprobs.append(logprob) }
      try outbox.topTokens.append(contentsOf: told.top.tokens)
      try outbox.topLogprobs.append(contentsOf: told.top.logprobs)
      try outbox.text.append(contentsOf: text)
      makeReady(outbox)
    }
  }

  /// Ends an answer; without memory for the last text, as one that failed.
  func post(to outbox: AnswerOutbox, text: UnsafeBufferPointer<UInt8>, end: AnswerEnd) {
    monitor.locked {
      guard outbox.end == nil else { return }
      do throws(XverseError) {
        // Room for the NUL of the event.
        try outbox.finalText.reserve(text.count + 1)
        try outbox.finalText.append(contentsOf: text)
        outbox.end = end
      } catch {
        outbox.end = AnswerEnd(reason: .error, error: error, statistics: end.statistics, result: nil)
      }
      unreadCount += 1
      makeReady(outbox)
    }
  }

  private func makeReady(_ outbox: AnswerOutbox) {
    guard !outbox.isReady else { return }
    outbox.isReady = true
    if let last { last.next = outbox } else { first = outbox }
    if last == nil { eventfd_write(descriptor, 1) }
    last = outbox
    monitor.signal()
  }

  /// Lets nobody wait any longer.
  func close() {
    monitor.locked {
      isClosed = true
      monitor.broadcast()
    }
  }

  // MARK: reading

  var unreadEnds: Int { monitor.locked { unreadCount } }

  /// Waits for an event.
  ///
  /// - Parameter deadline: On the monotonic clock, in nanoseconds; `Int64.max`: as long as it takes.
  /// - Returns: Whether there was one: another thread may have taken it.
  /// - Throws: `misuse` when the scheduler is freed meanwhile; `cancelled` when the process ends.
  func wait(until deadline: Int64) throws(XverseError) -> Bool {
    try monitor.locked { () throws(XverseError) in
      while first == nil {
        if isClosed { throw .misuse("the scheduler was freed while a thread waited for its events") }
        try ProcessEnd.check()
        let now = MonotonicClock.now
        guard now < deadline else { return false }
        // In pieces: the end of the process wakes nobody.
        monitor.wait(until: min(deadline, now + 100_000_000))
      }
      return true
    }
  }

  /// The next event; nil when there is none.
  ///
  /// - Throws: `outOfMemory`, and the event stays.
  func next() throws(XverseError) -> SchedulerEvent? {
    try monitor.locked { () throws(XverseError) in
      guard let outbox = first else { return nil }
      let event = try take(from: outbox)
      if outbox.end != nil && event.end == nil { return event }
      first = outbox.next
      outbox.next = nil
      outbox.isReady = false
      if first == nil {
        last = nil
        var count = eventfd_t()
        eventfd_read(descriptor, &count)
      }
      return event
    }
  }

  /// The tokens of an answer, or if there are none its end.
  private func take(from outbox: AnswerOutbox) throws(XverseError) -> SchedulerEvent {
    if outbox.hasTokens {
      try outbox.text.append(0)
      return SchedulerEvent(tokensOf: outbox)
    }
    try outbox.finalText.append(0)
    unreadCount -= 1
    openCount -= 1
    return SchedulerEvent(id: outbox.id, text: outbox.finalText.moved(), end: outbox.end)
  }
}
