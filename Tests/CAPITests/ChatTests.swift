// ChatTests.swift -- requests made of messages, and what must never become a special token.

import CXverse
import TestSupport
import Testing

extension ABI {
  @Suite("Conversations")
  struct ChatTests {
    let model: Handle
    private static let eos: Int32 = 3

    init() throws { model = try openTinyModel() }

    @Test("messages become XVERSE's prompt")
    func prompt() throws {
      let request = try Request(model, nil, #"{"max_new_tokens": 10}"#)
      try check(request.add("system", "Be kind."))
      try check(request.add("user", "Hi"))
      try check(request.add("assistant", "Yes?"))
      try check(request.add("exec", "42"))
      let parts = [
        "Human: ", "Be kind.\n", "Human: ", "Hi\n\n", "Assistant: ", "Yes?", nil, "Exec: ", "42\n\n", "Assistant: ",
      ]
      let expected = try parts.flatMap { try $0.map { try encode(model, $0) } ?? [Self.eos] }
      #expect(try request.tokens == expected)
    }

    @Test("a conversation is answered, and its next round reuses what the session has")
    func rounds() throws {
      let session = try Session(model)
      let request = try Request(model, nil, #"{"max_new_tokens": 5, "ignore_eos": 1}"#)
      try check(request.add("user", "Hi"))
      let first = session.generate(request)
      #expect(first.status == XVERSE_OK && first.tokens.count == 5)
      try check(request.add("assistant", "Well"))
      try check(request.add("user", "And?"))
      let second = session.generate(request)
      #expect(second.status == XVERSE_OK)
      // Everything up to the first answer, which the second prompt repeats in other words.
      #expect(second.stats.n_cached >= first.stats.n_prompt)
      #expect(second.tokens == (try Session(model).generate(request)).tokens)
    }

    @Test(
      "unknown roles are INVALID and add nothing", arguments: ["", "bot", "User", "user ", "system\0", "\u{1B}[31m"])
    func unknownRoles(role: String) throws {
      let request = try Request(model)
      let isTruncated = role.contains("\0")
      expect(request.add(role, "a"), is: isTruncated ? XVERSE_OK : XVERSE_E_INVALID, saying: "role", "assistant")
      if !isTruncated { #expect(try request.tokens == []) }
      #expect(!lastMessage.contains("\u{1B}"))
    }

    @Test("a huge role is INVALID in few words")
    func hugeRole() throws {
      let request = try Request(model)
      expect(request.add(String(repeating: "r", count: 1_000_000), "a"), is: XVERSE_E_INVALID, saying: "role")
      #expect(lastMessage.utf8.count < 1000)
    }

    @Test(
      "a conversation that cannot be answered is INVALID",
      arguments: [
        [("system", "a")], [("user", "a"), ("system", "b"), ("user", "c")],
        [("system", "a"), ("system", "b"), ("user", "c")],
      ])
    func unanswerable(messages: [(String, String)]) throws {
      let session = try Session(model)
      let request = try Request(model)
      try check(session.evaluate([7]))
      for (role, text) in messages { try check(request.add(role, text)) }
      var count = 0
      expect(xverse_request_tokens(request.pointer, nil, 0, &count), is: XVERSE_E_INVALID, saying: "role")
      let answer = session.generate(request)
      #expect(answer.status == XVERSE_E_INVALID && !answer.hasResult)
      #expect(session.length == 1)
    }

    @Test("raw text and messages in one request are MISUSE, whichever came first")
    func mixing() throws {
      let raw = try Request(model, "a")
      expect(raw.add("user", "b"), is: XVERSE_E_MISUSE, saying: "raw")
      #expect(try raw.tokens == encode(model, "a"))
      let chat = try Request(model)
      try check(chat.add("user", "b"))
      let before = try chat.tokens
      expect(xverse_request_add_text(chat.pointer, "a", 1), is: XVERSE_E_MISUSE, saying: "messages")
      expect(xverse_request_add_tokens(chat.pointer, [7], 1), is: XVERSE_E_MISUSE, saying: "messages")
      #expect(try chat.tokens == before)
    }

    @Test("old rounds that do not fit are left out, and a prompt never passes the context")
    func truncation() throws {
      let request = try Request(model, nil, #"{"max_new_tokens": 10}"#)
      for round in 0..<40 {
        try check(request.add("user", "Question \(round)"))
        try check(request.add("assistant", "Answer \(round)"))
      }
      try check(request.add("user", "Last"))
      let tokens = try request.tokens
      #expect(tokens.count <= 246)
      let text = try decode(model, tokens)
      #expect(text.hasPrefix("Human: Question") && !text.contains("Question 0\n"))
      #expect(text.hasSuffix("Human: Last\n\nAssistant: "))
      let session = try Session(model, #"{"context": 100}"#)
      let answer = session.generate(request)
      #expect(answer.status == XVERSE_OK)
      #expect(answer.stats.n_prompt <= 90)
    }

    @Test(
      "the names of special tokens in messages and raw text stay text",
      arguments: [
        "<|endoftext|>", "<|startoftext|>", "<|endofprompt|>", "<sep>", "<pad>", "a<|endoftext|>b",
      ])
    func specialTokensStayText(text: String) throws {
      let chat = try Request(model)
      let raw = try Request(model, text)
      try check(chat.add("user", text))
      #expect(try chat.tokens.allSatisfy { $0 >= 6 })
      #expect(try raw.tokens.allSatisfy { $0 >= 6 })
      #expect(try decode(model, raw.tokens) == text)
      #expect(try encode(model, text).allSatisfy { $0 >= 6 })
      #expect(try encode(model, text, flags: XVERSE_ENCODE_SPECIAL).contains { $0 < 6 })
      #expect(try encode(model, text, flags: XVERSE_ENCODE_BOS).first == 2)
    }

    @Test(
      "text that is not UTF-8, or holds NUL, is a prompt like any other",
      arguments: [
        [0xFF], [0xC3], [0xE4, 0xBD], [0x00], [0x61, 0x00, 0x62], [0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xEF, 0xBB, 0xBF],
      ])
    func oddBytes(bytes: [UInt8]) throws {
      let request = try Request(model, nil, #"{"max_new_tokens": 1}"#)
      let status = bytes.withUnsafeBytes {
        xverse_request_add_text(request.pointer, $0.bindMemory(to: CChar.self).baseAddress, $0.count)
      }
      expect(status, is: XVERSE_OK)
      #expect(try request.tokens.count >= 1)
      #expect(try Session(model).generate(request).status == XVERSE_OK)
    }
  }
}
