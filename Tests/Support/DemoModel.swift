// DemoModel.swift -- the demonstration model of the repository, and what Hugging Face's transformers and tokenizers make of
// it: reference outputs that are there on any machine.

import Foundation

/// examples/demo-model and Tests/Fixtures/demo-model.json, which examples/demo-model/recipe/golden.py wrote.
package struct DemoModel: Decodable, Sendable {
  package struct Text: Decodable, Sendable {
    package let text: String
    /// With special tokens as text, and recognized.
    package let ids: [Int32]
    package let specialIds: [Int32]
    package let decoded: String
  }

  /// A greedy continuation in float32.
  package struct Continuation: Decodable, Sendable {
    package let promptIds: [Int32]
    /// An ending EOS included.
    package let ids: [Int32]
    package let text: String
    /// The most probable first tokens.
    package let topIds: [Int32]
    package let topLogits: [Float]
    /// The raw text, or the user's message.
    package let prompt: String?
    package let question: String?
  }

  package let texts: [Text]
  package let prompts: [Continuation]
  /// Conversations: each turn's prompt holds the turns before it.
  package let chats: [[Continuation]]

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

  /// The checkpoint.
  package static let path = root.deletingLastPathComponent().appendingPathComponent("examples/demo-model").path

  package static func expected() throws -> DemoModel {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(
      DemoModel.self, from: Data(contentsOf: root.appendingPathComponent("Fixtures/demo-model.json")))
  }
}
