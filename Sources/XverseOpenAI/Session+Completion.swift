// Session+Completion.swift -- a session that answers a request of OpenAI's interface.

import XverseCore
import XverseRuntime

extension Session {
  /// Answers a request: its `answerCount` answers one after the other, for which the prompt is evaluated once.
  ///
  /// - Parameters:
  ///   - fingerprint: Names the library and its version in the response.
  ///   - onEvent: As in `generate`, for each answer; with `onChunk`, for parts of the prompt only.
  ///   - onChunk: Receives the chunks of the stream.
  ///   - response: Receives the whole response at its end, with the answers so far when a listener stopped the call.
  /// - Returns: Whether a listener stopped it.
  /// - Throws: As `generationRequest` and `generate`; `response` is then as before.
  package func complete(
    _ request: CompletionRequest, fingerprint: String, cancellation: Cancellation? = nil,
    onEvent: EventHandler? = nil, onChunk: CompletionChunks.Receiver? = nil, into response: inout Buffer<UInt8>
  ) throws(XverseError) -> Bool {
    let allocator = runtime.allocator
    let head = CompletionHead(request, model, fingerprint: fingerprint)
    let generation = try request.generationRequest(for: model, allocator: allocator)
    let prompt = try generation.prompt()
    var whole = try CompletionResponse(head, request, model, allocator: allocator)
    var wasStopped = false
    for index in 0..<request.answerCount where !wasStopped {
      let chunks = onChunk.map {
        ChunkSender(CompletionChunks(head, request, model, index: index, allocator: allocator), $0)
      }
      let result = try generate(
        prompt.elements, try request.options(for: model, answer: index), continuesText: generation.continuesText,
        cancellation: cancellation
      ) { event in
        if let chunks, event.kind != .prefill { return chunks.send(event) }
        // A stop at the last event finds nothing left to stop in this answer, but perhaps others.
        wasStopped = onEvent?(event) == false || wasStopped
        return !wasStopped
      }
      if let fault = chunks?.fault { throw fault }
      try whole.add(result, index: index)
      wasStopped = wasStopped || chunks?.wasStopped == true
    }
    if let onChunk, request.includesUsage, !wasStopped {
      let chunks = CompletionChunks(head, request, model, index: 0, allocator: allocator)
      wasStopped = try !chunks.send(whole.usage, to: onChunk)
    }
    let text = try whole.finish()
    try response.append(contentsOf: text.elements)
    return wasStopped
  }
}

/// The listener of one answer that turns events into chunks.
private final class ChunkSender {
  private let chunks: CompletionChunks
  private let receive: CompletionChunks.Receiver
  private(set) var wasStopped = false
  /// Why chunks could not be made.
  private(set) var fault: XverseError?

  init(_ chunks: CompletionChunks, _ receive: @escaping CompletionChunks.Receiver) {
    self.chunks = chunks
    self.receive = receive
  }

  /// Returns whether to go on; after a fault or a stop nothing is sent any more.
  func send(_ event: borrowing GenerationEvent) -> Bool {
    guard !wasStopped && fault == nil else { return false }
    do throws(XverseError) {
      wasStopped = try !chunks.send(event, to: receive)
    } catch {
      fault = error
    }
    return !wasStopped && fault == nil
  }
}
