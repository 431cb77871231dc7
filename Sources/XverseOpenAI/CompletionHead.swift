// CompletionHead.swift -- what a response and each of its chunks begin with.

import Glibc
import XverseCore
import XverseLoading
import XverseRuntime

/// What is the same in all objects that answer one request.
package struct CompletionHead: Sendable {
  let kind: CompletionRequest.Kind
  let id: String
  /// Seconds since 1970.
  let created: Int
  let model: String
  let fingerprint: String

  /// - Parameter fingerprint: Names the library and its version.
  package init(_ request: CompletionRequest, _ model: LoadedModel, fingerprint: String) {
    kind = request.kind
    let digits = (0..<2).map { _ in String(UInt64.random(in: UInt64.min...UInt64.max), radix: 36) }.joined()
    id = (kind == .chat ? "chatcmpl-" : "cmpl-") + digits
    created = time(nil)
    self.model = request.model ?? model.name
    self.fingerprint = fingerprint
  }

  /// Opens an object and writes what it begins with.
  func begin(_ json: inout JSONBufferWriter, isChunk: Bool) throws(XverseError) {
    try json.beginObject()
    try json.write(id, "id")
    switch kind {
    case .chat: try json.write(isChunk ? "chat.completion.chunk" : "chat.completion", "object")
    case .text: try json.write("text_completion", "object")
    }
    try json.write(created, "created")
    try json.write(model, "model")
    try json.write(fingerprint, "system_fingerprint")
  }
}

/// The tokens that a request took.
package struct CompletionUsage: Sendable {
  private var prompt = 0
  private var cached = 0
  private var completion = 0
  private var answerCount = 0

  package init() {}

  /// Adds an answer. The prompt counts once.
  package mutating func add(_ statistics: SessionStatistics) {
    if answerCount == 0 { (prompt, cached) = (statistics.promptTokens, statistics.cachedTokens) }
    answerCount += 1
    completion += statistics.generatedTokens
  }

  func write(to json: inout JSONBufferWriter) throws(XverseError) {
    try json.beginObject("usage")
    try json.write(prompt, "prompt_tokens")
    try json.write(completion, "completion_tokens")
    try json.write(prompt + completion, "total_tokens")
    try json.beginObject("prompt_tokens_details")
    try json.write(cached, "cached_tokens")
    try json.endObject()
    try json.endObject()
  }
}

extension JSONBufferWriter {
  /// Writes OpenAI's word for the end of an answer; null while it goes on, and for one that was stopped from outside.
  mutating func write(_ reason: FinishReason) throws(XverseError) {
    switch reason {
    case .eos, .stop: try write("stop", "finish_reason")
    case .length: try write("length", "finish_reason")
    case .none, .callback, .cancelled, .deadline, .error: try writeNull("finish_reason")
    }
  }

  mutating func write(_ bytes: UnsafeBufferPointer<UInt8>, _ key: String) throws(XverseError) {
    try write(UnsafeRawBufferPointer(bytes), key)
  }
}
