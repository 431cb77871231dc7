// CompletionRequest.swift -- a request of OpenAI's interface, chat completions or completions, read from its JSON.

import XverseCore
import XverseRuntime

/// What a request asks for. It needs no model until it is answered, and keeps nothing of the JSON's memory.
///
/// Nothing is passed over: what is not supported is an error whose `field` names it. A null counts as absent.
/// Threads: immutable once made; any number of readers.
package final class CompletionRequest: @unchecked Sendable {
  /// Longest request, in bytes.
  package static let maximumLength = 64 << 20
  /// Most answers to one prompt.
  package static let maximumAnswerCount = 128

  package enum Kind: Sendable {
    /// `messages` in, an answer out.
    case chat
    /// `prompt` in, its continuation out.
    case text
  }

  package let kind: Kind
  /// `model`, which is only echoed.
  package internal(set) var model: String?
  /// `n`.
  package internal(set) var answerCount = 1
  /// `stream`.
  package internal(set) var isStreaming = false
  /// `stream_options.include_usage`.
  package internal(set) var includesUsage = false
  /// Log probabilities of the generated tokens.
  package internal(set) var wantsLogprobs = false
  /// With each of them, this many of the most probable tokens.
  package internal(set) var topLogprobs = 0

  var messages: [ChatMessage] = []
  var promptText: Buffer<UInt8>
  var promptTokens: Buffer<Int32>
  var sampling = SamplingFields()
  let allocator: MemoryAllocator

  /// What the request says about sampling; nil where it says nothing.
  struct SamplingFields {
    var temperature: Double?
    var topP: Double?
    var topK: Int?
    var minP: Double?
    var repetitionPenalty: Double?
    var presencePenalty = 0.0
    var frequencyPenalty = 0.0
    var seed: Int?
    var logitBias: [(token: Int32, bias: Float)] = []
    var stops: [[UInt8]] = []
    var ignoresEOS = false
    var maximumTokens: Int?
  }

  /// Reads a request.
  ///
  /// Memory: as `JSONDocument` while it reads, then the prompt's bytes and less than 200 a message.
  ///
  /// - Throws: `parse` (no JSON), `limit`, `invalid`, `range`, `unsupported`, `outOfMemory`.
  package init(_ json: UnsafeRawBufferPointer, allocator: MemoryAllocator) throws(XverseError) {
    guard json.count <= Self.maximumLength else {
      throw .limit("the request has \(json.count) bytes, expected at most \(Self.maximumLength)")
    }
    let document = try JSONDocument(json, source: "the request", faultCode: .parse, allocator: allocator)
    let root = document.root
    guard root.kind == .object else {
      throw XverseError(.invalid, "the request is \(root.kind.rawValue), expected an object", offset: root.offset)
    }
    let fields = RequestValue(value: root, path: "")
    kind = try Self.kind(of: fields)
    self.allocator = allocator
    promptText = Buffer(allocator: allocator)
    promptTokens = Buffer(allocator: allocator)
    for member in root.members where !member.value.isNull {
      let key = RequestField.allCases.first { member.key.equals($0.rawValue) }
      guard let key, key.belongs(to: kind) else { throw unknown(member.key, member.value) }
      try read(key, fields.member(member.value, key.rawValue))
    }
    try checkTogether(fields)
  }

  private static func kind(of fields: RequestValue) throws(XverseError) -> Kind {
    switch (fields["messages"], fields["prompt"]) {
    case (_?, nil): return .chat
    case (nil, _?): return .text
    case (_?, let prompt?):
      throw XverseError(
        .invalid, "the request has both 'messages' and 'prompt', expected one of them", offset: prompt.value.offset,
        field: prompt.path)
    case (nil, nil):
      throw XverseError(
        .invalid,
        "the request has neither 'messages' (chat completions) nor 'prompt' (completions), expected one of them",
        field: "messages")
    }
  }

  private func unknown(_ key: JSONString, _ value: JSONValue) -> XverseError {
    let known = RequestField.allCases.filter { $0.belongs(to: kind) }.map(\.rawValue).sorted()
    let interface = kind == .chat ? "chat-completions" : "completions"
    return XverseError(
      .unsupported,
      "'\(key.snippet)' is not supported in a \(interface) request; the fields are \(known.joined(separator: ", "))",
      offset: value.offset, field: key.snippet)
  }

  /// Checks the fields that depend on each other.
  private func checkTogether(_ fields: RequestValue) throws(XverseError) {
    func fail(_ code: XverseError.Code, _ field: RequestField, _ words: String) -> XverseError {
      XverseError(
        code, "'\(field.rawValue)' \(words)", offset: fields[field.rawValue]?.value.offset, field: field.rawValue)
    }
    if fields["max_tokens"] != nil && fields["max_completion_tokens"] != nil {
      throw fail(.invalid, .maxTokens, "stands beside 'max_completion_tokens', expected one of them")
    }
    if fields["stream_options"] != nil && !isStreaming {
      throw fail(.invalid, .streamOptions, "is there without \"stream\": true")
    }
    if topLogprobs > 0 && !wantsLogprobs {
      throw fail(.invalid, .topLogprobs, "is \(topLogprobs) without \"logprobs\": true")
    }
    if let best = fields["best_of"]?.value, best.wholeNumber != answerCount {
      throw fail(.unsupported, .bestOf, "is \(best.snippet), which is not supported; expected 'n', \(answerCount)")
    }
  }
}
