// GenerationRequestTests.swift -- prompts in the making: raw or conversation, never both.

import Foundation
import ModelTestSupport
import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

extension GenerationRequest {
  fileprivate func add(_ tokens: [Int32]) throws { try tokens.withUnsafeBufferPointer { try add(tokens: $0) } }

  fileprivate func add(_ text: String) throws { try Array(text.utf8).withUnsafeBytes { try add(text: $0) } }

  fileprivate func add(_ role: ChatMessage.Role, _ content: String) throws {
    try add(ChatMessage(role, content))
  }

  fileprivate func tokens(context: Int? = nil) throws -> [Int32] {
    let prompt = try prompt(context: context)
    return Array(prompt.elements)
  }
}

extension TinyHost {
  fileprivate func tokens(of text: String) throws -> [Int32] {
    var tokens = Buffer<Int32>()
    try Array(text.utf8).withUnsafeBytes { try loaded.tokenizer.encode($0, parsingSpecials: false, into: &tokens) }
    return Array(tokens.elements)
  }
}

@Suite("GenerationRequest")
struct GenerationRequestTests {
  @Test("raw pieces stand one after the other, each encoded on its own")
  func joinsRawPieces() throws {
    let model = try loadTiny()
    let request = GenerationRequest(model)

    try request.add([2, 40])
    try request.add("t")
    try request.add("he<|endoftext|>")
    try request.add([3])

    let expected = [2, 40] + (try model.tokens(of: "t")) + (try model.tokens(of: "he<|endoftext|>")) + [3]
    #expect(try request.tokens() == expected)
    #expect(!expected.dropLast().contains(3), "a special token in a text stays text")
    #expect(request.continuesText)
  }

  @Test("an empty request has an empty prompt")
  func startsEmpty() throws {
    #expect(try GenerationRequest(try loadTiny()).tokens().isEmpty)
  }

  @Test("messages become the chat prompt of the model")
  func rendersMessages() throws {
    let model = try loadTiny()
    let request = GenerationRequest(model)

    try request.add(.system, "be brief")
    try request.add(.user, "hi")
    try request.add(.assistant, "the man")
    try request.add(.user, "and?")

    let expected =
      try model.tokens(of: "Human: ") + model.tokens(of: "be brief\n") + model.tokens(of: "Human: ")
      + model.tokens(of: "hi\n\n") + model.tokens(of: "Assistant: ") + model.tokens(of: "the man") + [3]
      + model.tokens(of: "Human: ") + model.tokens(of: "and?\n\n") + model.tokens(of: "Assistant: ")
    request.options.maximumNewTokens = 10
    #expect(try request.tokens() == expected)
    #expect(!request.continuesText)

    try request.add(.assistant, "he")
    #expect(request.continuesText)
    #expect(try request.tokens() == expected + model.tokens(of: "he"))
  }

  @Test("messages do not mix with what is raw")
  func refusesMessagesAfterRaw() throws {
    let request = GenerationRequest(try loadTiny())
    try request.add([10])

    let error = #expect(throws: XverseError.self) { try request.add(.user, "hi") }

    #expect(error?.code == .misuse)
    #expect(try request.tokens() == [10])
  }

  @Test("what is raw does not mix with messages")
  func refusesRawAfterMessages() throws {
    let request = GenerationRequest(try loadTiny())
    try request.add(.user, "hi")
    let before = try request.tokens()

    let tokens = #expect(throws: XverseError.self) { try request.add([10]) }
    let text = #expect(throws: XverseError.self) { try request.add("hi") }

    #expect(tokens?.code == .misuse)
    #expect(text?.code == .misuse)
    #expect(try request.tokens() == before)
  }

  @Test("refuses ids outside the vocabulary and takes none of the call's", arguments: [-1, 370, .max] as [Int32])
  func refusesIDs(token: Int32) throws {
    let request = GenerationRequest(try loadTiny())
    try request.add([10])

    let error = #expect(throws: XverseError.self) { try request.add([11, token]) }

    #expect(error?.code == .range)
    #expect(error?.message == "tokens[1] is \(token), expected 0 to 369")
    #expect(try request.tokens() == [10])
  }

  @Test("a conversation fits the session it is for", arguments: [60, 80, 120, 200, 256])
  func fitsContext(context: Int) throws {
    let model = try loadTiny()
    let request = GenerationRequest(model)
    for index in 0..<10 {
      try request.add(.user, "question \(index)")
      try request.add(.assistant, "answer \(index)")
    }
    try request.add(.user, "the last")
    request.options.maximumNewTokens = 40

    let prompt = try request.tokens(context: context)

    let end = try model.tokens(of: "Assistant: ")
    // Half of the context, or what the new tokens leave of it.
    #expect(prompt.count <= max(context / 2, context - 40))
    #expect(prompt.count < (try request.tokens()).count || context == 256)
    #expect(Array(prompt.suffix(end.count)) == end)
  }

  @Test("without a limit of new tokens half of the context is for the answer")
  func leavesHalf() throws {
    let request = GenerationRequest(try loadTiny())
    try request.add(.user, String(repeating: "x", count: 500))

    #expect(request.options.maximumNewTokens == nil)
    #expect(try request.tokens().count == 128)
    #expect(try request.tokens(context: 100).count == 50)
  }

  @Test("a longer context than the model's gives no longer prompt")
  func keepsModelsLimit() throws {
    let request = GenerationRequest(try loadTiny())
    try request.add(.user, String(repeating: "x", count: 500))

    #expect(try request.tokens(context: 4096) == request.tokens())
  }

  @Test("the checkpoint's own limit of prompts counts")
  func keepsTruncation() throws {
    let request = GenerationRequest(try loadTiny { $0.extraConfiguration = ["max_tokenizer_truncation": 60] })
    try request.add(.user, String(repeating: "x", count: 500))

    #expect(try request.tokens().count == 60)
  }

  @Test("a context without room for the answer's prefix is too small")
  func refusesTinyContext() throws {
    let request = GenerationRequest(try loadTiny())
    try request.add(.user, "hi")

    let error = #expect(throws: XverseError.self) { try request.tokens(context: 4) }

    #expect(error?.code == .contextFull)
  }

  @Test("a conversation needs a token that ends answers")
  func needsEOS() throws {
    let model = try loadTiny {
      $0.extraConfiguration = ["eos_token_id": NSNull()]
      $0.generationConfiguration = [:]
    }
    let request = GenerationRequest(model)
    try request.add(.user, "hi")

    let error = #expect(throws: XverseError.self) { try request.tokens() }

    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("eos_token_id") == true)
  }

  @Test("the order of messages is looked at when the prompt is made")
  func refusesWrongOrder() throws {
    let request = GenerationRequest(try loadTiny())
    try request.add(.user, "hi")
    try request.add(.system, "yes")

    let error = #expect(throws: XverseError.self) { try request.tokens() }

    #expect(error?.code == .invalid)
  }

  @Test("starts with the checkpoint's own defaults")
  func takesDefaults() throws {
    let model = try loadTiny {
      $0.generationConfiguration = [
        "max_new_tokens": 77, "do_sample": true, "temperature": 0.5, "top_k": 30, "top_p": 0.85,
        "repetition_penalty": 1.1, "eos_token_id": 3,
      ]
    }

    let options = GenerationRequest(model).options

    #expect(options.maximumNewTokens == 77)
    #expect(options.sampling.doSample)
    #expect(options.sampling.temperature == 0.5)
    #expect(options.sampling.topK == 30)
    #expect(options.sampling.topP == 0.85)
    #expect(options.sampling.repetitionPenalty == 1.1)
    #expect(options.sampling.minP == 0)
    #expect(!options.ignoresEOS)
  }
}
