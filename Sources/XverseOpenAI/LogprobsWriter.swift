// LogprobsWriter.swift -- the log probabilities of generated tokens in the two shapes that OpenAI's interfaces have.

import XverseCore
import XverseLoading
import XverseRuntime
import XverseTokenizers

/// Generated tokens and their log probabilities; with each, the most probable tokens in its place.
struct TokenLogprobs {
  var tokens: Slice<UnsafeBufferPointer<Int32>> = UnsafeBufferPointer(start: nil, count: 0)[...]
  var logprobs: Slice<UnsafeBufferPointer<Float>> = UnsafeBufferPointer(start: nil, count: 0)[...]
  /// `[tokens, alternatives]`.
  var topTokens: Slice<UnsafeBufferPointer<Int32>> = UnsafeBufferPointer(start: nil, count: 0)[...]
  var topLogprobs: Slice<UnsafeBufferPointer<Float>> = UnsafeBufferPointer(start: nil, count: 0)[...]

  typealias Entry = (token: Int32, logprob: Float)

  /// The tokens with their log probabilities, as far as there are both.
  var entries: Zip2Sequence<Slice<UnsafeBufferPointer<Int32>>, Slice<UnsafeBufferPointer<Float>>> {
    zip(tokens, logprobs)
  }

  /// The most probable tokens in the place of token number `index`.
  func alternatives(_ index: Int) -> [Entry] {
    let count = tokens.isEmpty ? 0 : topTokens.count / tokens.count
    return zip(topTokens.dropFirst(index * count).prefix(count), topLogprobs.dropFirst(index * count)).map { ($0, $1) }
  }
}

extension TokenLogprobs {
  /// - Parameter ending: Tokens that end an answer: as the last one, such a token is no part of it.
  init(
    _ tokens: UnsafeBufferPointer<Int32>, _ logprobs: UnsafeBufferPointer<Float>,
    _ topTokens: UnsafeBufferPointer<Int32>, _ topLogprobs: UnsafeBufferPointer<Float>, ending: [Int32]
  ) {
    let count = tokens.count - (tokens.last.map { ending.contains($0) } == true ? 1 : 0)
    let top = tokens.isEmpty ? 0 : topTokens.count / tokens.count
    self.init(
      tokens: tokens.prefix(count), logprobs: logprobs.prefix(count), topTokens: topTokens.prefix(count * top),
      topLogprobs: topLogprobs.prefix(count * top))
  }
}

extension CompletionRequest {
  /// The tokens that end an answer of `model`.
  func endingTokens(of model: LoadedModel) -> [Int32] { sampling.ignoresEOS ? [] : model.specialTokens.eos }
}

/// Writes member "logprobs" of the choices of one answer.
struct LogprobsWriter {
  private let kind: CompletionRequest.Kind
  private let tokenizer: Tokenizer
  /// Where the next token begins in the answer's text, in characters.
  private var textOffset = 0

  init(_ kind: CompletionRequest.Kind, _ tokenizer: Tokenizer) {
    self.kind = kind
    self.tokenizer = tokenizer
  }

  mutating func write(_ entries: TokenLogprobs, to json: inout JSONBufferWriter) throws(XverseError) {
    try json.beginObject("logprobs")
    switch kind {
    case .chat: try writeContent(entries, to: &json)
    case .text: try writeLists(entries, to: &json)
    }
    try json.endObject()
  }

  // MARK: chat completions

  private func writeContent(_ tokens: TokenLogprobs, to json: inout JSONBufferWriter) throws(XverseError) {
    try json.beginArray("content")
    for (index, entry) in tokens.entries.enumerated() {
      try json.beginObject()
      try writeMembers(entry, to: &json)
      try json.beginArray("top_logprobs")
      for alternative in tokens.alternatives(index) {
        try json.beginObject()
        try writeMembers(alternative, to: &json)
        try json.endObject()
      }
      try json.endArray()
      try json.endObject()
    }
    try json.endArray()
    try json.writeNull("refusal")
  }

  private func writeMembers(_ entry: TokenLogprobs.Entry, to json: inout JSONBufferWriter) throws(XverseError) {
    try json.write(name(of: entry.token), "token")
    try json.write(bounded(entry.1), "logprob")
    try json.beginArray("bytes")
    for byte in tokenizer.bytes(of: entry.token) ?? UnsafeRawBufferPointer(start: nil, count: 0) {
      try json.write(Int(byte))
    }
    try json.endArray()
  }

  // MARK: completions

  private mutating func writeLists(_ tokens: TokenLogprobs, to json: inout JSONBufferWriter) throws(XverseError) {
    try json.beginArray("tokens")
    for token in tokens.tokens { try json.write(name(of: token)) }
    try json.endArray()
    try json.beginArray("token_logprobs")
    for logprob in tokens.logprobs { try json.write(bounded(logprob)) }
    try json.endArray()
    try json.beginArray("top_logprobs")
    for (index, entry) in tokens.entries.enumerated() {
      // Different tokens may have the same text: the more probable one stands for it.
      var names = Set<String>()
      try json.beginObject()
      for alternative in tokens.alternatives(index) + [entry] {
        let name = name(of: alternative.token)
        if names.insert(name).inserted { try json.write(bounded(alternative.logprob), name) }
      }
      try json.endObject()
    }
    try json.endArray()
    try json.beginArray("text_offset")
    for token in tokens.tokens {
      try json.write(textOffset)
      textOffset += characters(of: token)
    }
    try json.endArray()
  }

  // MARK: tokens

  /// What a token adds to a text; bytes that are no text on their own as `bytes:\xe4\xbd`.
  private func name(of token: Int32) -> String {
    guard let bytes = tokenizer.bytes(of: token) else { return "" }
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    return "bytes:" + bytes.map { ($0 < 0x10 ? "\\x0" : "\\x") + String($0, radix: 16) }.joined()
  }

  /// Characters that begin with a token. Special tokens add none to a text.
  private func characters(of token: Int32) -> Int {
    guard let bytes = tokenizer.bytes(of: token), !tokenizer.isSpecial(token) else { return 0 }
    return bytes.count { $0 & 0xC0 != 0x80 }
  }

  /// JSON has no infinity. OpenAI's interface has this number for tokens that are next to impossible.
  private func bounded(_ logprob: Float) -> Float { max(logprob, -9999) }
}
