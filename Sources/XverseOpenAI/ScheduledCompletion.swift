// ScheduledCompletion.swift -- the response to a request of OpenAI's interface that a scheduler answers.

import XverseCore
import XverseLoading
import XverseRuntime

/// Turns the events of one request's answers into what its client gets: chunks, one a line, while they come, and at the end
/// the last chunks or the whole response; the error object when an answer failed.
///
/// Threads: one at a time.
package final class ScheduledCompletion {
  package let request: CompletionRequest
  private let head: CompletionHead
  private let model: LoadedModel
  private let allocator: MemoryAllocator
  private var chunks: [CompletionChunks] = []
  private var results: [GenerationResult?]
  private var endedCount = 0
  private var statistics: SessionStatistics?
  /// Why there is no response.
  private var fault: XverseError?

  package init(
    _ request: CompletionRequest, _ model: LoadedModel, fingerprint: String, allocator: MemoryAllocator
  ) {
    self.request = request
    self.model = model
    self.allocator = allocator
    let head = CompletionHead(request, model, fingerprint: fingerprint)
    self.head = head
    results = Array(repeating: nil, count: request.answerCount)
    guard request.isStreaming else { return }
    chunks = (0..<request.answerCount).map {
      CompletionChunks(head, request, model, index: $0, allocator: allocator)
    }
  }

  /// Takes an event of answer number `index`.
  ///
  /// - Parameter id: The number of the request.
  /// - Returns: What the client gets, and how the request ended if it has; nil for nothing.
  package func take(_ event: SchedulerEvent, answer index: Int, id: UInt64) -> SchedulerEvent? {
    var text = Buffer<UInt8>(allocator: allocator)
    do throws(XverseError) {
      if let error = event.end?.error { throw error }
      if fault == nil && request.isStreaming { try write(event, answer: index, to: &text) }
    } catch {
      fault = fault ?? error
      text.removeAll()
    }
    if let end = event.end {
      endedCount += 1
      results[index] = end.result
      statistics = statistics.map { $0.adding(end.statistics) } ?? end.statistics
    }
    var end: AnswerEnd?
    if endedCount == request.answerCount, let reason = event.end?.reason {
      finish(&text)
      end = AnswerEnd(
        reason: fault.map { FinishReason($0) } ?? reason, error: fault, statistics: statistics ?? SessionStatistics(),
        result: nil)
    }
    guard end != nil || !text.isEmpty else { return nil }
    if (try? text.append(0)) == nil { text = Buffer(allocator: allocator) }
    return SchedulerEvent(id: id, text: text, end: end)
  }

  private func write(
    _ event: SchedulerEvent, answer index: Int, to text: inout Buffer<UInt8>
  ) throws(XverseError) {
    let told = GenerationEvent(
      kind: event.end == nil ? .tokens : .finished,
      text: UnsafeBufferPointer(rebasing: event.text.elements.prefix(event.textLength)),
      tokens: event.tokens.elements, logprobs: event.logprobs.elements, topTokens: event.topTokens.elements,
      topLogprobs: event.topLogprobs.elements, promptDone: 0, promptTotal: 0, finishReason: event.end?.reason ?? .none,
      error: nil)
    try collecting(into: &text) { (receive) throws(XverseError) in _ = try chunks[index].send(told, to: receive) }
  }

  private func finish(_ text: inout Buffer<UInt8>) {
    do throws(XverseError) {
      if let fault { throw fault }
      if request.isStreaming {
        if request.includesUsage {
          let usage = results.reduce(into: CompletionUsage()) { sum, result in
            if let result { sum.add(result.statistics) }
          }
          try collecting(into: &text) { (receive) throws(XverseError) in _ = try chunks[0].send(usage, to: receive) }
        }
        return try text.reserve(text.count + 1)
      }
      var response = try CompletionResponse(head, request, model, allocator: allocator)
      for (index, result) in results.enumerated() {
        guard let result else { throw XverseError(.internal, "answer \(index) ended without a result") }
        try response.add(result, index: index)
      }
      let whole = try response.finish()
      try text.reserve(whole.count + 1)
      try text.append(contentsOf: whole.elements)
    } catch {
      fault = error
      text.removeAll()
      try? error.appendCompletionError(to: &text)
    }
  }

  /// Appends the chunks that `body` sends, a line each.
  private func collecting(
    into text: inout Buffer<UInt8>, _ body: (CompletionChunks.Receiver) throws(XverseError) -> Void
  ) throws(XverseError) {
    let lines = Lines(allocator: allocator)
    try body { lines.add($0) }
    if let fault = lines.fault { throw fault }
    // Room for the NUL behind all of it.
    try text.reserve(text.count + lines.text.count + 1)
    try text.append(contentsOf: lines.text.elements)
  }

  private final class Lines {
    var text: Buffer<UInt8>
    var fault: XverseError?

    init(allocator: MemoryAllocator) { text = Buffer(allocator: allocator) }

    func add(_ chunk: UnsafeBufferPointer<UInt8>) -> Bool {
      do throws(XverseError) {
        try text.append(contentsOf: chunk)
        try text.append(UInt8(ascii: "\n"))
        return true
      } catch {
        fault = error
        return false
      }
    }
  }
}

extension SessionStatistics {
  /// The figures of several answers to one prompt.
  fileprivate func adding(_ other: SessionStatistics) -> SessionStatistics {
    var sum = self
    sum.generatedTokens += other.generatedTokens
    sum.draftTokens += other.draftTokens
    sum.acceptedDraftTokens += other.acceptedDraftTokens
    sum.decodeTime = max(decodeTime, other.decodeTime)
    return sum
  }
}
