// CompletionResponse.swift -- the whole answer to a request, as one JSON object.

import XverseCore
import XverseLoading
import XverseRuntime

/// A response in the making: answers are added as they are finished.
package struct CompletionResponse: ~Copyable {
  private let head: CompletionHead
  private let model: LoadedModel
  private let wantsLogprobs: Bool
  private let ending: [Int32]
  private var json: JSONBufferWriter
  package private(set) var usage = CompletionUsage()

  package init(
    _ head: CompletionHead, _ request: CompletionRequest, _ model: LoadedModel, allocator: MemoryAllocator
  ) throws(XverseError) {
    self.head = head
    self.model = model
    wantsLogprobs = request.wantsLogprobs
    ending = request.endingTokens(of: model)
    json = JSONBufferWriter(allocator: allocator)
    try head.begin(&json, isChunk: false)
    try json.beginArray("choices")
  }

  /// Adds a finished answer.
  ///
  /// - Parameter index: Its number, from 0.
  package mutating func add(_ result: GenerationResult, index: Int) throws(XverseError) {
    let text = UnsafeBufferPointer(rebasing: result.text.elements.prefix(result.textLength))
    try json.beginObject()
    try json.write(index, "index")
    switch head.kind {
    case .chat:
      try json.beginObject("message")
      try json.write("assistant", "role")
      try json.write(text, "content")
      try json.writeNull("refusal")
      try json.endObject()
    case .text: try json.write(text, "text")
    }
    try writeLogprobs(of: result)
    try json.write(result.statistics.finishReason)
    try json.endObject()
    usage.add(result.statistics)
  }

  private mutating func writeLogprobs(of result: GenerationResult) throws(XverseError) {
    guard wantsLogprobs else { return try json.writeNull("logprobs") }
    let entries = TokenLogprobs(
      result.tokens.elements, result.logprobs.elements, result.topTokens.elements, result.topLogprobs.elements,
      ending: ending)
    var writer = LogprobsWriter(head.kind, model.tokenizer)
    try writer.write(entries, to: &json)
  }

  /// Completes the object and hands it over.
  package consuming func finish() throws(XverseError) -> Buffer<UInt8> {
    try json.endArray()
    try usage.write(to: &json)
    try json.endObject()
    return json.takeText()
  }
}
