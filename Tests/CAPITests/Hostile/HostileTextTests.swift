// HostileTextTests.swift -- texts that are none, that are huge, and that pretend to be special tokens: each comes back.

import CXverse
import Foundation
import TestSupport
import Testing

/// Bytes that a caller may hand over as a text.
struct HostileText: Sendable, CustomTestStringConvertible {
  let name: String
  let bytes: [UInt8]

  var testDescription: String { name }
  var isText: Bool { String(validating: bytes, as: UTF8.self) != nil }

  private init(_ name: String, _ bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }

  private init(_ name: String, _ text: String) { self.init(name, Array(text.utf8)) }

  /// Without optimization everything takes thirty times as long.
  #if DEBUG
    private static let many = 30_000
  #else
    private static let many = 1_000_000
  #endif

  static let all: [HostileText] = [
    HostileText("nothing", ""), HostileText("NUL characters", "a\0\0b\0"),
    HostileText("a byte order mark", "\u{FEFF}a"),
    HostileText("what looks like special tokens", "<|startoftext|>a<|endoftext|><sep><pad><|endofprompt|>"),
    HostileText("what looks like byte tokens", "<0x41><0x00><0xZZ>"),
    HostileText("every byte", Array(0...255)), HostileText("bytes FF", [UInt8](repeating: 0xFF, count: 1000)),
    HostileText("overlong forms", [0xC0, 0x80, 0xE0, 0x80, 0xAF, 0xF0, 0x80, 0x80, 0xAF]),
    HostileText("surrogates", [0xED, 0xA0, 0x80, 0xED, 0xBF, 0xBF]),
    HostileText("beyond U+10FFFF", [0xF4, 0x90, 0x80, 0x80, 0xF8, 0x88, 0x80, 0x80, 0x80]),
    HostileText("half a character at the end", [0x61, 0xE4, 0xBD]),
    HostileText("half a character in the middle", [0xF0, 0x9F, 0x98, 0x61]),
    HostileText("the last characters of every length", "\u{7F}\u{7FF}\u{FFFF}\u{10FFFF}"),
    HostileText("characters that steer a terminal", "\u{1B}[2J\u{9B}2J\u{202E}\u{2028}"),
    HostileText("U+FDFA", String(repeating: "\u{FDFA}", count: 1000)),
    HostileText("one letter again and again", String(repeating: "a", count: many)),
    HostileText("a pair that merges again and again", String(repeating: "he", count: many / 2)),
    HostileText("spaces", String(repeating: " ", count: many)),
    HostileText("line feeds", String(repeating: "\n", count: many)),
    HostileText("combining marks", "a" + String(repeating: "\u{301}", count: many / 2)),
    HostileText("continuation bytes", [UInt8](repeating: 0x80, count: many)),
  ]
}

extension ABI {
  @Suite("Hostile texts", .timeLimit(.minutes(2)))
  struct HostileTextTests {
    @Test(
      "the bytes of the tokens are the bytes of the text, and no special token is among them",
      arguments: HostileText.all)
    func roundTrip(text: HostileText) throws {
      let model = try openTinyModel()
      let tokenizer = xverse_model_tokenizer(model.pointer)
      let tokens = try tokens(of: text, tokenizer)

      var joined: [UInt8] = []
      for token in tokens {
        var bytes: UnsafePointer<CChar>?
        var (count, special) = (0, Int32(1))
        try check(xverse_tokenizer_token_bytes(tokenizer, token, &bytes, &count, &special))
        joined += UnsafeRawBufferPointer(start: bytes, count: count)
        guard special == 0 else { throw CallFailed(status: XVERSE_OK, message: "token \(token) is special") }
      }
      #expect(joined == text.bytes)
    }

    @Test("decoded, whole and streamed, it is the text, or U+FFFD where it is none", arguments: HostileText.all)
    func decoding(text: HostileText) throws {
      let model = try openTinyModel()
      let tokens = try tokens(of: text, xverse_model_tokenizer(model.pointer))

      let decoded = try decode(model, tokens, flags: XVERSE_DECODE_PLAIN)
      let streamed = try stream(model, tokens)

      if text.isText {
        #expect(Array(decoded.utf8) == text.bytes)
        #expect(streamed == text.bytes)
      } else {
        #expect(decoded.unicodeScalars.contains("\u{FFFD}"))
        #expect(String(decoding: text.bytes, as: UTF8.self).utf8.elementsEqual(streamed))
      }
    }

    @Test("it can be a prompt and a message", arguments: HostileText.all)
    func prompt(text: HostileText) throws {
      let model = try openTinyModel()
      let request = try Request(model)
      let conversation = try Request(model)
      try text.bytes.withUnsafeBytes { bytes in
        let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self) ?? UnsafePointer(bitPattern: 16)
        try check(xverse_request_add_text(request.pointer, start, bytes.count))
        try check(xverse_request_add_message(conversation.pointer, "user", start, bytes.count))
      }
      let special = try encode(model, "<|endoftext|>", flags: XVERSE_ENCODE_SPECIAL)
      #expect(try Set(request.tokens).isDisjoint(with: special))
      #expect(try Set(conversation.tokens).isDisjoint(with: special))
      let session = try Session(model)
      for request in [request, conversation] {
        try request.set(#"{"max_new_tokens": 2, "ignore_eos": 1}"#)
        let answer = session.generate(request)
        let expected =
          try request.tokens.isEmpty ? XVERSE_E_INVALID : request.tokens.count > 256 ? XVERSE_E_CONTEXT_FULL : 0
        #expect(answer.status == expected, "\(answer.message)")
      }
    }

    private func tokens(of text: HostileText, _ tokenizer: OpaquePointer?) throws -> [Int32] {
      try text.bytes.withUnsafeBytes { bytes in
        let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self) ?? UnsafePointer(bitPattern: 16)
        return try delivered(0) { xverse_tokenizer_encode(tokenizer, start, bytes.count, 0, $0, $1, $2) }
      }
    }

    private func stream(_ model: Handle, _ tokens: [Int32]) throws -> [UInt8] {
      let detokenizer = try makeHandle(xverse_detokenizer_free) {
        xverse_detokenizer_create(xverse_model_tokenizer(model.pointer), 0, $0)
      }
      var result: [UInt8] = []
      var piece: UnsafePointer<CChar>?
      var count = 0
      for token in tokens {
        try check(xverse_detokenizer_push(detokenizer.pointer, token, &piece, &count))
        result += UnsafeRawBufferPointer(start: piece, count: count)
      }
      try check(xverse_detokenizer_flush(detokenizer.pointer, &piece, &count))
      return result + UnsafeRawBufferPointer(start: piece, count: count)
    }
  }
}
