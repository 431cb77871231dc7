// CompletionChunks.swift -- the answer to a request as a stream of JSON objects, made from the events of a generation.

import XverseCore
import XverseLoading
import XverseRuntime

/// The chunks of one of the answers: first the role (in a chat), then pieces of text as they come, last why it ends.
///
/// Threads: one owner at a time.
package final class CompletionChunks {
  /// Receives a chunk, which is valid during the call and has a NUL behind it; returns whether to go on.
  package typealias Receiver = (UnsafeBufferPointer<UInt8>) -> Bool

  private let head: CompletionHead
  private let index: Int
  private let includesUsage: Bool
  private let wantsLogprobs: Bool
  private let ending: [Int32]
  private var logprobs: LogprobsWriter
  private var hasBegun = false
  private var json: JSONBufferWriter

  /// - Parameter index: The answer's number, from 0.
  package init(
    _ head: CompletionHead, _ request: CompletionRequest, _ model: LoadedModel, index: Int, allocator: MemoryAllocator
  ) {
    self.head = head
    self.index = index
    includesUsage = request.includesUsage
    wantsLogprobs = request.wantsLogprobs
    ending = request.endingTokens(of: model)
    logprobs = LogprobsWriter(head.kind, model.tokenizer)
    json = JSONBufferWriter(allocator: allocator)
  }

  /// Makes the chunks that an event gives: none while text is held back, and none of an end from outside.
  ///
  /// - Returns: Whether to go on: false when `receive` said not to.
  package func send(_ event: borrowing GenerationEvent, to receive: Receiver) throws(XverseError) -> Bool {
    switch event.kind {
    case .prefill: return true
    case .tokens: break
    case .finished:
      switch event.finishReason {
      case .eos, .stop, .length: break
      case .none, .callback, .cancelled, .deadline, .error: return true
      }
    }
    if !hasBegun {
      hasBegun = true
      if head.kind == .chat {
        guard try send(role: true, to: receive) else { return false }
      }
    }
    let entries = entries(of: event)
    if !event.text.isEmpty || !entries.tokens.isEmpty {
      guard try send(text: event.text, entries, to: receive) else { return false }
    }
    return event.kind == .finished ? try send(end: event.finishReason, to: receive) : true
  }

  /// Makes the chunk that tells what a request took, the last of the whole stream.
  package func send(_ usage: CompletionUsage, to receive: Receiver) throws(XverseError) -> Bool {
    json.removeAll()
    try head.begin(&json, isChunk: true)
    try json.beginArray("choices")
    try json.endArray()
    try usage.write(to: &json)
    try json.endObject()
    return try deliver(to: receive)
  }

  private func entries(of event: borrowing GenerationEvent) -> TokenLogprobs {
    guard wantsLogprobs else { return TokenLogprobs() }
    return TokenLogprobs(event.tokens, event.logprobs, event.topTokens, event.topLogprobs, ending: ending)
  }

  /// Sends a chunk with one choice.
  private func send(
    role: Bool = false, text: UnsafeBufferPointer<UInt8>? = nil, _ entries: TokenLogprobs = TokenLogprobs(),
    end: FinishReason = .none, to receive: Receiver
  ) throws(XverseError) -> Bool {
    json.removeAll()
    try head.begin(&json, isChunk: true)
    try json.beginArray("choices")
    try json.beginObject()
    try json.write(index, "index")
    switch head.kind {
    case .chat:
      try json.beginObject("delta")
      if role {
        try json.write("assistant", "role")
        try json.write("", "content")
      }
      if let text { try json.write(text, "content") }
      try json.endObject()
    case .text: try json.write(text ?? UnsafeBufferPointer(start: nil, count: 0), "text")
    }
    if entries.tokens.isEmpty { try json.writeNull("logprobs") } else { try logprobs.write(entries, to: &json) }
    try json.write(end)
    try json.endObject()
    try json.endArray()
    if includesUsage { try json.writeNull("usage") }
    try json.endObject()
    return try deliver(to: receive)
  }

  private func deliver(to receive: Receiver) throws(XverseError) -> Bool {
    try json.terminate()
    return receive(UnsafeBufferPointer(rebasing: json.text.dropLast()))
  }
}
