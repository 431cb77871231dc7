// CompletionRequestTests.swift -- requests as clients send them, and what a model makes of them.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseLoading
import XverseRuntime

@testable import XverseOpenAI

@Suite("CompletionRequest")
struct CompletionRequestTests {
  @Test("reads what a client of chat completions sends")
  func readsChat() throws {
    let read = try request(
      #"""
      {"model": "xverse-7b", "messages": [
         {"role": "developer", "content": "Be brief."},
         {"role": "user", "content": [{"type": "text", "text": "你好"}, {"type": "text", "text": "\ud83d\ude00"}]},
         {"role": "assistant", "content": "Yes?", "refusal": null, "annotations": [], "tool_calls": null, "audio": null},
         {"role": "tool", "tool_call_id": "call_1", "content": "42"}],
       "temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 7, "stop": ["\n\n", "END"], "seed": -3, "n": 2,
       "logprobs": true, "top_logprobs": 3, "logit_bias": {"7": -100, "8": 1.5}, "presence_penalty": 0.25,
       "frequency_penalty": -0.5, "stream": true, "stream_options": {"include_usage": true},
       "response_format": {"type": "text"}, "tools": [], "tool_choice": "none", "modalities": ["text"],
       "user": "u", "metadata": {"a": "b"}, "store": false, "service_tier": "auto", "parallel_tool_calls": true,
       "top_k": -1, "min_p": 0.05, "repetition_penalty": 1.1, "ignore_eos": true, "audio": null}
      """#)

    #expect(read.kind == .chat)
    #expect(read.model == "xverse-7b")
    #expect(read.messages.map(\.role) == [.system, .user, .assistant, .exec])
    #expect(read.answerCount == 2)
    #expect(read.isStreaming && read.includesUsage && read.wantsLogprobs)
    #expect(read.topLogprobs == 3)
    let model = try loadTiny(idleContext())
    let options = try read.options(for: model, answer: 1)
    #expect(options.sampling.temperature == 0.5 && options.sampling.doSample)
    #expect(options.sampling.topP == 0.9 && options.sampling.topK == 0 && options.sampling.minP == 0.05)
    #expect(options.sampling.repetitionPenalty == 1.1)
    #expect(options.sampling.presencePenalty == 0.25 && options.sampling.frequencyPenalty == -0.5)
    #expect(options.sampling.seed == UInt64(bitPattern: -2))
    #expect(options.sampling.logitBias.map(\.token) == [7, 8])
    #expect(options.sampling.logitBias.map(\.bias) == [-100, 1.5])
    #expect(options.stops == [Array("\n\n".utf8), Array("END".utf8)])
    #expect(options.maximumNewTokens == 7 && options.ignoresEOS)
    #expect(options.wantsLogprobs && options.topLogprobs == 3)
  }

  @Test("a conversation becomes the prompt that the same messages give, parts joined by line ends")
  func rendersMessages() throws {
    let model = try loadTiny(idleContext())
    let expected = GenerationRequest(model, allocator: .system)
    for (role, text) in [("system", "Be"), ("user", "a\n好"), ("assistant", "in"), ("exec", "on")] {
      let role = try ChatMessage.Role(named: role)
      try Array(text.utf8).withUnsafeBytes { try expected.add(ChatMessage(role: role, content: $0)) }
    }
    let read = try request(
      #"""
      {"messages": [{"role": "system", "content": "Be"},
         {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "\u597d"}]},
         {"role": "assistant", "content": "in"}, {"role": "function", "name": "f", "content": "on"}]}
      """#)

    let prompt = try read.generationRequest(for: model, allocator: .system)

    let tokens = try prompt.prompt()
    let expectedTokens = try expected.prompt()
    #expect(Array(tokens.elements) == Array(expectedTokens.elements))
    #expect(!prompt.continuesText)
  }

  @Test("a last message of the assistant's is continued")
  func continuesAnswer() throws {
    let read = try request(#"{"messages": [{"role":"user","content":"a"}, {"role":"assistant","content":"in"}]}"#)
    #expect(try read.generationRequest(for: loadTiny(idleContext()), allocator: .system).continuesText)
  }

  @Test(
    "reads the four shapes of a prompt",
    arguments: [
      (#""an""#, "an"), (#"["an"]"#, "an"), ("[7, 8.0]", nil), ("[[7, 8]]", nil),
    ] as [(String, String?)])
  func readsPrompts(prompt: String, text: String?) throws {
    let read = try request(completion(prompt: prompt))
    #expect(read.kind == .text)
    #expect(read.promptText.text == text ?? "")
    #expect(Array(read.promptTokens.elements) == (text == nil ? [7, 8] : []))
  }

  @Test("defaults are the model's own, else OpenAI's")
  func defaults() throws {
    let silent = try loadTiny(idleContext())
    let chatOptions = try request(chat()).options(for: silent)
    #expect(chatOptions.sampling.doSample && chatOptions.sampling.temperature == 1)
    #expect(chatOptions.sampling.topK == 0 && chatOptions.sampling.topP == 1)
    #expect(chatOptions.maximumNewTokens == nil && chatOptions.sampling.seed == nil)
    #expect(try request(completion()).options(for: silent).maximumNewTokens == 16)

    let own = try loadTiny(idleContext()) {
      $0.generationConfiguration = [
        "eos_token_id": 3, "do_sample": false, "temperature": 0.25, "top_k": 5, "top_p": 0.5, "max_new_tokens": 9,
      ]
    }
    let options = try request(completion()).options(for: own)
    #expect(!options.sampling.doSample && options.sampling.temperature == 0.25)
    #expect(options.sampling.topK == 5 && options.sampling.topP == 0.5 && options.maximumNewTokens == 9)
    #expect(try request(chat(#""temperature": 2"#)).options(for: own).sampling.doSample)
    #expect(try request(chat(#""temperature": 0"#)).options(for: silent).sampling.isGreedy)
  }

  @Test("a default that cannot be used fails the generation, unless the request replaces it")
  func faultyDefaults() throws {
    let model = try loadTiny(idleContext()) {
      $0.generationConfiguration = ["eos_token_id": 3, "top_k": -5, "max_new_tokens": "many"]
    }
    #expect(throws: XverseError.self) { try request(completion(#""top_k": 1"#)).options(for: model).usable() }
    #expect(throws: XverseError.self) { try request(completion(#""max_tokens": 1"#)).options(for: model).usable() }
    #expect(try request(completion(#""top_k": 1, "max_tokens": 1"#)).options(for: model).usable().sampling.topK == 1)
  }

  @Test("null counts as absent, whatever the field")
  func nulls() throws {
    let all = RequestField.allCases.filter { $0.belongs(to: .chat) && $0 != .messages }
    let read = try request(chat(all.map { #""\#($0.rawValue)": null"# }.joined(separator: ", ")))
    #expect(read.answerCount == 1 && !read.isStreaming && read.model == nil)
  }
}
