// CompletionRequest+Prompt.swift -- what a request wants to be answered: messages, or text or tokens to be continued.

import XverseCore
import XverseRuntime

extension CompletionRequest {
  private static let maximumMessageCount = 65_536

  /// OpenAI's roles and XVERSE's: what a tool or a function has put out is the output of XVERSE's tools.
  private static let roles: KeyValuePairs<String, ChatMessage.Role> = [
    "system": .system, "developer": .system, "user": .user, "assistant": .assistant, "tool": .exec, "function": .exec,
  ]

  func readMessages(_ value: RequestValue) throws(XverseError) {
    guard value.value.kind == .array else { throw value.invalid(expected: "an array of messages") }
    for (index, element) in value.value.elements.enumerated() {
      guard index < Self.maximumMessageCount else {
        throw value.outOfRange(expected: "at most \(Self.maximumMessageCount) messages")
      }
      messages.append(try message(value.element(element, index), isFirst: index == 0))
    }
    guard let last = messages.last else { throw value.invalid(expected: "at least one message") }
    if last.role == .system {
      let field = "messages[\(messages.count - 1)].role"
      throw XverseError(
        .invalid, "'\(field)' is the system's, expected another role in the last message", offset: value.value.offset,
        field: field)
    }
  }

  private func message(_ value: RequestValue, isFirst: Bool) throws(XverseError) -> ChatMessage {
    guard value.value.kind == .object else { throw value.invalid(expected: "an object") }
    let names = Self.roles.map(\.key).joined(separator: ", ")
    let role = try value.required("role", expected: names)
    guard let name = role.value.stringValue, let known = Self.roles.first(where: { name.equals($0.key) }) else {
      throw role.invalid(expected: names)
    }
    if known.value == .system && !isFirst { throw role.invalid(expected: "this role in the first message only") }
    try checkMembers(of: value, role: known.key)
    var content = Buffer<UInt8>(allocator: allocator)
    try read(try value.required("content", expected: "a string or an array of text parts"), into: &content)
    return try ChatMessage(
      role: known.value, content: UnsafeRawBufferPointer(content.elements), allocator: allocator)
  }

  /// Refuses what a message says beyond role and content, but for what OpenAI's interface requires of it, and what a
  /// client sends back of an earlier answer.
  private func checkMembers(of message: RequestValue, role: String) throws(XverseError) {
    for member in message.value.members where !member.value.isNull {
      let value = message.member(member.value, member.key.snippet)
      switch (member.key.withBytes { String(decoding: $0.prefix(32), as: UTF8.self) }, role) {
      case ("role", _), ("content", _): break
      case ("tool_call_id", "tool"), ("name", "function"): _ = try value.string(bytes: 0...1024)
      case ("tool_calls", "assistant"), ("annotations", "assistant"): try value.requireEmptyArray()
      default: throw value.unsupported(expected: "no other members of '\(message.path)' than role and content")
      }
    }
  }

  /// Appends a content: a string, or the texts of an array of parts with a line end between them.
  private func read(_ content: RequestValue, into text: inout Buffer<UInt8>) throws(XverseError) {
    if let string = content.value.stringValue { return try string.append(to: &text) }
    let expected = "a string or an array of text parts"
    guard content.value.kind == .array else { throw content.invalid(expected: expected) }
    var isEmpty = true
    for (index, element) in content.value.elements.enumerated() {
      let part = content.element(element, index)
      guard element.kind == .object else { throw part.invalid(expected: "an object") }
      try part.required("type", expected: "\"text\"").requireString(["text"])
      try part.requireMembers(["type", "text"])
      let words = try part.required("text", expected: "a string")
      guard let string = words.value.stringValue else { throw words.invalid(expected: "a string") }
      if !isEmpty { try text.append(UInt8(ascii: "\n")) }
      try string.append(to: &text)
      isEmpty = false
    }
    if isEmpty { throw content.invalid(expected: expected) }
  }

  /// A string, an array of one string, the ids of tokens, or an array of one array of them.
  func readPrompt(_ value: RequestValue) throws(XverseError) {
    if let text = value.value.stringValue { return try text.append(to: &promptText) }
    guard value.value.kind == .array, let first = value.value.elements.first(where: { _ in true }) else {
      throw value.invalid(expected: "a string or an array of token ids")
    }
    guard first.kind != .number else { return try readTokens(value) }
    guard value.value.elements.dropFirst().first(where: { _ in true }) == nil else {
      throw value.unsupported(expected: "one prompt in a request")
    }
    let only = value.element(first, 0)
    if let text = first.stringValue { return try text.append(to: &promptText) }
    guard first.kind == .array else { throw only.invalid(expected: "a string or an array of token ids") }
    try readTokens(only)
  }

  private func readTokens(_ value: RequestValue) throws(XverseError) {
    for (index, element) in value.value.elements.enumerated() {
      if let number = element.wholeNumber, let token = Int32(exactly: number), token >= 0 {
        try promptTokens.append(token)
      } else {
        // Most ids are right, and cost no path.
        _ = try value.element(element, index).integer(in: 0...Int(Int32.max))
      }
    }
  }
}
