// ChatPromptReferenceTests.swift -- whole prompts in the ids of the real vocabulary.

import Foundation
import TestSupport
import Testing
import XverseCore
import XverseTokenizers

@testable import XverseRuntime

@Suite("ChatPrompt with the tokenizer of XVERSE", .enabled(if: SharedData.isAvailable))
struct ChatPromptReferenceTests {
  private func render(_ messages: [(ChatMessage.Role, String)]) throws -> [Int32] {
    let file = try Data(contentsOf: URL(fileURLWithPath: SharedData.file("tokenizer/xverse-subset-tokenizer.json")))
    let tokenizer = try file.withUnsafeBytes { (bytes) in try Tokenizer(json: bytes, source: "tokenizer.json") }
    var tokens = Buffer<Int32>()
    try ChatPrompt.render(
      messages.map { try ChatMessage($0.0, $0.1) }, tokenizer: tokenizer, eosToken: 3,
      maximumPositions: 8192, maximumTokenizerTruncation: 6144, maximumNewTokens: 2048, into: &tokens)
    return Array(tokens.elements)
  }

  @Test("agrees with the published ids of a question")
  func agreesWithVectors() throws {
    let file = try Data(contentsOf: URL(fileURLWithPath: SharedData.file("tokenizer/vectors.json")))
    let root = try #require(JSONSerialization.jsonObject(with: file) as? [String: Any])
    let chats = try #require(root["chat"] as? [String: [String: Any]])
    let messages = try #require(chats["chat_single"]?["messages"] as? [[String: String]])
    let expected = try #require(chats["chat_single"]?["ids"] as? [NSNumber])

    let tokens = try render(messages.map { (try ChatMessage.Role(named: $0["role"] ?? ""), $0["content"] ?? "") })

    #expect(tokens == expected.map(\.int32Value))
  }

  @Test("agrees with Hugging Face's tokenizers on every role, piece by piece")
  func agreesWithTokenizers() throws {
    let tokens = try render([
      (.system, "The capital of France is"), (.user, "Hello, world!"), (.assistant, "你好"),
      (.exec, "def f(x):\n    return x+1"), (.assistant, "The quick brown fox"), (.user, "你好"),
    ])

    // tokenizers 0.23: encode(prefix) + encode(content + "\n\n", or "\n" for system) a message, + [3] after an answer.
    #expect(
      tokens == [
        75, 96666, 96582, 61, 9044, 97525, 98398, 97896, 96604, 98030, 96884, 96636, 100277, 75, 96666, 96582, 61, 9044,
        75, 96760, 114, 47, 97895, 36, 100277, 100277, 68, 97045, 96686, 96714, 61, 9044, 18908, 21497, 3, 97195, 96992,
        61, 9044, 97469, 96591, 43, 123, 44, 61, 100277, 9044, 9044, 9044, 96990, 97133, 46, 52, 100277, 100277, 68,
        97045, 96686, 96714, 61, 9044, 97525, 99739, 96593, 100093, 96591, 97138, 3, 75, 96666, 96582, 61, 9044, 18908,
        21497, 100277, 100277, 68, 97045, 96686, 96714, 61, 9044,
      ])
  }

  @Test("the name of a special token in a message stays text")
  func keepsSpecialsText() throws {
    #expect(try render([(.user, "<|endoftext|>")]).contains(3) == false)
  }
}
