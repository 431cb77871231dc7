// ChatPrompt.swift -- turns the messages of a conversation into the tokens that the chat models were trained on.

import XverseCore
import XverseFormats
import XverseTokenizers

/// One turn of a conversation. Its text is only ever text: the name of a special token in it stays letters.
package struct ChatMessage: Sendable {
  package enum Role: String, Sendable, CaseIterable {
    case system, user, assistant, exec

    /// - Throws: `invalid` for a name that is none of the four.
    package init(named name: String) throws(XverseError) {
      guard let role = Role(rawValue: name) else {
        throw .invalid("message role is '\(name.inMessage)', expected system, user, assistant or exec")
      }
      self = role
    }
  }

  package let role: Role
  let content: Content

  /// Copies `content`.
  package init(
    role: Role, content: UnsafeRawBufferPointer, allocator: MemoryAllocator = .system
  ) throws(XverseError) {
    self.role = role
    self.content = try Content(content, allocator: allocator)
  }

  /// The bytes of a message, of any number.
  final class Content: @unchecked Sendable {
    let bytes: Buffer<UInt8>

    fileprivate init(_ content: UnsafeRawBufferPointer, allocator: MemoryAllocator) throws(XverseError) {
      var bytes = Buffer<UInt8>(allocator: allocator)
      try bytes.append(bytes: content)
      self.bytes = bytes
    }
  }
}

/// What a prompt needs of a tokenizer.
package protocol TextEncoding {
  /// Appends the tokens of `text`; the names of special tokens in it become those only when `parsingSpecials`.
  func encode(
    _ text: UnsafeRawBufferPointer, parsingSpecials: Bool, into tokens: inout Buffer<Int32>
  ) throws(XverseError)
}

extension Tokenizer: TextEncoding {}

/// The prompt format of the dense XVERSE chat models: `Human: {q}\n\nAssistant: {a}<eos>Human: {q}\n\nAssistant: `.
///
/// A conversation that ends with an answer is continued: the prompt ends with the answer's text, without `<eos>`.
///
/// Prefixes and contents are encoded apart, as the models' own code does: joined text would give other tokens.
/// Source: `_build_chat_input` of modeling_xverse.py, XVERSE-7B-Chat.
package enum ChatPrompt {
  /// Appends the prompt that asks for the answer to the last message, or for the rest of that answer.
  ///
  /// The prompt has at most min(`maximumTokenizerTruncation`, max(M / 2, M - `maximumNewTokens`)) tokens, M being
  /// `maximumPositions`. Whole rounds (a user or exec message with the answers that follow it) are dropped from the
  /// oldest on, the system message with the first of them or where it alone does not fit; a last message of user or exec
  /// that is too long keeps its head. Answers before the first user or exec message stay only under a system message.
  /// Each message is encoded at most once, and none older than the first that is dropped.
  ///
  /// - Parameters:
  ///   - eosToken: Ends each answer.
  ///   - tokens: Receives the prompt at its end; as before after an error.
  /// - Throws: `invalid` when there is no message, the last is the system's, or a system message is not the first;
  ///   `contextFull` when not even the prefix of the answer, and its beginning, have room; what the tokenizer throws.
  package static func render(
    _ messages: [ChatMessage], tokenizer: some TextEncoding, eosToken: Int32, maximumPositions: Int,
    maximumTokenizerTruncation: Int, maximumNewTokens: Int, into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    let (newest, answer) = try lastTurn(of: messages)
    let positions = max(maximumPositions, 0)
    let limit = min(maximumTokenizerTruncation, max(positions / 2, positions - max(maximumNewTokens, 0)))
    var prompt = try ChatPromptBuilder(
      tokenizer: tokenizer, limit: limit, eosToken: eosToken, allocator: tokens.allocator)
    try prompt.addLastTurn(newest, answer: answer)
    for message in messages.dropLast((newest == nil ? 0 : 1) + (answer == nil ? 0 : 1)).reversed() {
      guard try prompt.prepend(message) else { break }
    }
    try prompt.write(into: &tokens)
  }

  /// Checks the order of the roles and returns the message to be answered and the answer that is to be continued, as far
  /// as they are there.
  private static func lastTurn(
    of messages: [ChatMessage]
  ) throws(XverseError) -> (newest: ChatMessage?, answer: ChatMessage?) {
    guard let last = messages.last else { throw .invalid("the chat has no messages, expected at least one") }
    for (index, message) in messages.enumerated() where message.role == .system && index > 0 {
      throw .invalid("message \(index) has the role system, expected it only as message 0")
    }
    switch last.role {
    case .system: throw .invalid("the last message has the role system, expected user, exec or assistant")
    case .user, .exec: return (last, nil)
    case .assistant:
      let before = messages.dropLast().last
      return (before?.role == .user || before?.role == .exec ? before : nil, last)
    }
  }
}
