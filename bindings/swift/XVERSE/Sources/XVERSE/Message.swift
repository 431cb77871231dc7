// Message.swift -- what a model is asked: a conversation, a text, or tokens.

internal import CXverse

/// One message of a conversation.
public struct Message: Codable, Hashable, Sendable {
  /// Who says it; `exec` is the output of a tool.
  public enum Role: String, Codable, Sendable { case system, user, assistant, exec }

  public var role: Role
  public var content: String

  public init(role: Role, content: String) {
    self.role = role
    self.content = content
  }

  /// Instructions; only the first message may be one.
  public static func system(_ content: String) -> Message { Message(role: .system, content: content) }
  public static func user(_ content: String) -> Message { Message(role: .user, content: content) }
  /// An answer; as the last message it is continued.
  public static func assistant(_ content: String) -> Message { Message(role: .assistant, content: content) }
  public static func exec(_ content: String) -> Message { Message(role: .exec, content: content) }
}

/// What to generate from.
public enum Prompt: Hashable, Sendable, ExpressibleByStringLiteral {
  /// A conversation to answer.
  case messages([Message])
  /// A text to continue; special tokens in it stay text.
  case text(String)
  case tokens([Int32])

  public init(stringLiteral text: String) { self = .text(text) }
}

/// A prompt and options, as the library takes them.
struct Request: Sendable {
  let handle: Handle

  /// Errors: those of the options; RANGE for tokens outside the vocabulary.
  init(_ model: Model, _ prompt: Prompt, _ options: SamplingOptions) throws(XverseError) {
    let handle = try Handle(free: { xverse_request_free($0) }) { xverse_request_create(model.handle.pointer, $0) }
    self.handle = handle
    let options = try options.handle()
    try check(xverse_request_set_options(handle.pointer, options.pointer))
    switch prompt {
    case .messages(let messages):
      for message in messages {
        try check(
          message.content.withBytes { xverse_request_add_message(handle.pointer, message.role.rawValue, $0, $1) })
      }
    case .text(let text): try check(text.withBytes { xverse_request_add_text(handle.pointer, $0, $1) })
    case .tokens(let tokens): try check(tokens.withElements { xverse_request_add_tokens(handle.pointer, $0, $1) })
    }
  }
}
