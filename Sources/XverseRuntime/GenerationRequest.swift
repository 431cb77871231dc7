// GenerationRequest.swift -- a prompt in the making: raw pieces or a conversation, and the options to answer it with.

import XverseCore
import XverseLoading
import XverseTokenizers

/// What to generate from, and how.
///
/// Threads: one owner at a time.
package final class GenerationRequest {
  package let model: LoadedModel
  package var options: GenerationOptions

  /// Whether a conversation is too long when not all of it fits; else its oldest rounds are left out.
  package var keepsAllMessages = false

  package let allocator: MemoryAllocator
  private var rawTokens: Buffer<Int32>
  private var messages: [ChatMessage] = []

  package init(_ model: LoadedModel, allocator: MemoryAllocator) {
    self.model = model
    self.allocator = allocator
    options = GenerationOptions(model.generationDefaults)
    rawTokens = Buffer(allocator: allocator)
  }

  /// Whether the answer goes on with the prompt's text: with raw text, or with the answer that a conversation ends with.
  package var continuesText: Bool { messages.last.map { $0.role == .assistant } ?? true }

  /// Adds ids to a raw prompt.
  package func add(tokens: UnsafeBufferPointer<Int32>) throws(XverseError) {
    try requireRaw()
    let vocabularySize = model.configuration.vocabularySize
    for (index, token) in tokens.enumerated() where token < 0 || Int(token) >= vocabularySize {
      throw .range("tokens[\(index)] is \(token), expected 0 to \(vocabularySize - 1)")
    }
    try rawTokens.append(contentsOf: tokens)
  }

  /// Adds text to a raw prompt, encoded on its own; special tokens in it stay text.
  package func add(text: UnsafeRawBufferPointer) throws(XverseError) {
    try requireRaw()
    let before = rawTokens.count
    do throws(XverseError) {
      try model.tokenizer.encode(text, parsingSpecials: false, into: &rawTokens)
    } catch {
      rawTokens.truncate(to: before)
      throw error
    }
  }

  /// Adds a message to a conversation.
  package func add(_ message: ChatMessage) throws(XverseError) {
    guard rawTokens.isEmpty else {
      throw .misuse("the request already has raw text or tokens; messages cannot be mixed with them")
    }
    messages.append(message)
  }

  /// The prompt for a session with `context` tokens; nil for the model's own.
  package func prompt(context: Int? = nil) throws(XverseError) -> Buffer<Int32> {
    var prompt = Buffer<Int32>(allocator: allocator)
    guard !messages.isEmpty else {
      try prompt.append(contentsOf: rawTokens.elements)
      return prompt
    }
    guard let eos = model.specialTokens.eos.first else {
      throw .unsupported(
        "\(model.specialTokens.eosSource) of '\(model.name.inMessage)': 'eos_token_id' names no token, expected one: it ends "
          + "the answers of a conversation")
    }
    if keepsAllMessages {
      try ChatPrompt.render(
        messages, tokenizer: model.tokenizer, eosToken: eos, maximumPositions: .max, maximumTokenizerTruncation: .max,
        maximumNewTokens: 0, into: &prompt)
      return prompt
    }
    let configuration = model.configuration
    let positions = min(configuration.maximumPositions, context ?? .max)
    try ChatPrompt.render(
      messages, tokenizer: model.tokenizer, eosToken: eos, maximumPositions: positions,
      maximumTokenizerTruncation: configuration.maximumTokenizerTruncation,
      maximumNewTokens: options.maximumNewTokens ?? positions, into: &prompt)
    return prompt
  }

  private func requireRaw() throws(XverseError) {
    guard messages.isEmpty else {
      throw .misuse("the request already has messages; raw text and tokens cannot be mixed with them")
    }
  }
}
