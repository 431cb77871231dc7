// RefusedRequestTests.swift -- what is not supported, not allowed or hostile is refused by name.

import Testing
import TestSupport
import XverseCore
import XverseLoading
import ModelTestSupport

@testable import XverseOpenAI

@Suite("CompletionRequest, refusing")
struct RefusedRequestTests {
  @Test(
    "names fields and values that are not supported",
    arguments: [
      (chat(#""tools": [{"type": "function"}]"#), "tools"), (chat(#""functions": [{}]"#), "functions"),
      (chat(#""tool_choice": "required""#), "tool_choice"),
      (chat(#""tool_choice": {"type": "function"}"#), "tool_choice"),
      (chat(#""response_format": {"type": "json_object"}"#), "response_format.type"),
      (chat(#""response_format": {"type": "json_schema", "json_schema": {}}"#), "response_format.type"),
      (chat(#""response_format": {"type": "text", "x": 1}"#), "response_format.x"),
      (chat(#""modalities": ["text", "audio"]"#), "modalities[1]"), (chat(#""audio": {"voice": "x"}"#), "audio"),
      (chat(#""reasoning_effort": "low""#), "reasoning_effort"), (chat(#""prediction": {}"#), "prediction"),
      (chat(#""guided_json": {}"#), "guided_json"), (chat(#""temprature": 1"#), "temprature"),
      (chat(#""echo": false"#), "echo"), (completion(#""top_logprobs": 1"#), "top_logprobs"),
      (completion(#""echo": true"#), "echo"), (completion(#""suffix": "end""#), "suffix"),
      (completion(#""best_of": 3"#), "best_of"), (completion(#""best_of": 1, "n": 2"#), "best_of"),
      (completion(prompt: #"["a", "b"]"#), "prompt"), (completion(prompt: "[[7], [8]]"), "prompt"),
      (chat(#""stream": true, "stream_options": {"include_obfuscation": true}"#), "stream_options.include_obfuscation"),
      (
        chat(#""stream": true, "stream_options": {"continuous_usage_stats": true}"#),
        "stream_options.continuous_usage_stats"
      ),
      (
        #"{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}"#,
        "messages[0].content[0].type"
      ),
      (
        #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}]}]}"#,
        "messages[0].content[0].cache_control"
      ),
      (#"{"messages": [{"role": "assistant", "content": "a", "tool_calls": [{}]}]}"#, "messages[0].tool_calls"),
      (#"{"messages": [{"role": "user", "content": "a", "name": "Ann"}]}"#, "messages[0].name"),
    ])
  func unsupported(json: String, field: String) { expectRefused(json, .unsupported, field: field) }

  @Test(
    "names values outside their bounds",
    arguments: [
      (chat(#""temperature": 2.5"#), "temperature"), (chat(#""temperature": -1"#), "temperature"),
      (chat(#""temperature": 1e400"#), "temperature"), (chat(#""top_p": 1.1"#), "top_p"), (chat(#""n": 0"#), "n"),
      (chat(#""n": 129"#), "n"), (chat(#""n": 1.5"#), "n"), (chat(#""n": 1e300"#), "n"),
      (chat(#""seed": 9223372036854775808"#), "seed"), (chat(#""top_k": -2"#), "top_k"),
      (chat(#""max_tokens": -1"#), "max_tokens"), (chat(#""max_tokens": 99999999999999999999"#), "max_tokens"),
      (chat(#""logprobs": true, "top_logprobs": 21"#), "top_logprobs"), (completion(#""logprobs": 6"#), "logprobs"),
      (chat(#""presence_penalty": 3"#), "presence_penalty"), (chat(#""frequency_penalty": -2.1"#), "frequency_penalty"),
      (chat(#""logit_bias": {"7": 101}"#), "logit_bias.7"), (chat(#""stop": """#), "stop"),
      (chat(#""stop": ["a", ""]"#), "stop[1]"), (chat(#""repetition_penalty": 0"#), "repetition_penalty"),
      (completion(prompt: "[7, -1]"), "prompt[1]"), (completion(prompt: "[7, 4294967296]"), "prompt[1]"),
      (completion(prompt: "[7.5]"), "prompt[0]"),
    ])
  func outOfRange(json: String, field: String) { expectRefused(json, .range, field: field) }

  @Test("bounds the number and the length of stop strings")
  func stopStrings() throws {
    let many = (0...256).map { "\"\($0)\"" }.joined(separator: ",")
    expectRefused(chat(#""stop": [\#(many)]"#), .range, field: "stop")
    for length in [4097, 1 << 20] {
      expectRefused(chat(#""stop": "\#(String(repeating: "a", count: length))""#), .range, field: "stop")
    }
    let escaped = String(repeating: "\\u0061", count: 4096)
    #expect(try request(chat(#""stop": "\#(escaped)""#)).sampling.stops.map(\.count) == [4096])
  }

  @Test(
    "names what is never right",
    arguments: [
      ("{}", "messages"), (#"{"messages": null}"#, "messages"), (#"{"messages": [], "prompt": "a"}"#, "prompt"),
      (#"{"messages": []}"#, "messages"), (#"{"messages": "a"}"#, "messages"), (#"{"messages": [1]}"#, "messages[0]"),
      (#"{"messages": [{"content": "a"}]}"#, "messages[0].role"),
      (#"{"messages": [{"role": "bot", "content": "a"}]}"#, "messages[0].role"),
      (#"{"messages": [{"role": "user"}]}"#, "messages[0].content"),
      (#"{"messages": [{"role": "assistant", "content": null}]}"#, "messages[0].content"),
      (#"{"messages": [{"role": "user", "content": []}]}"#, "messages[0].content"),
      (#"{"messages": [{"role": "user", "content": {}}]}"#, "messages[0].content"),
      (#"{"messages": [{"role": "user", "content": ["a"]}]}"#, "messages[0].content[0]"),
      (#"{"messages": [{"role": "user", "content": [{"text": "a"}]}]}"#, "messages[0].content[0].type"),
      (#"{"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}"#, "messages[0].content[0].text"),
      (#"{"messages": [{"role": "system", "content": "a"}]}"#, "messages[0].role"),
      (#"{"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "a"}]}"#, "messages[1].role"),
      (completion(prompt: "[]"), "prompt"), (completion(prompt: "7"), "prompt"),
      (completion(prompt: "[{}]"), "prompt[0]"),
      (chat(#""max_tokens": 1, "max_completion_tokens": 1"#), "max_tokens"),
      (chat(#""stream_options": {"include_usage": true}"#), "stream_options"),
      (chat(#""top_logprobs": 1"#), "top_logprobs"), (chat(#""logit_bias": {"the": 1}"#), "logit_bias"),
      (chat(#""logit_bias": {"99999999999": 1}"#), "logit_bias"),
    ])
  func invalid(json: String, field: String) { expectRefused(json, .invalid, field: field) }

  @Test("names every field whose value has a wrong type", arguments: RequestField.allCases)
  func wrongTypes(field: RequestField) {
    let wrong =
      switch field {
      case .stream, .echo, .ignoreEOS, .store, .parallelToolCalls: "1"
      case .logprobs: #""yes""#
      default: "true"
      }
    let member = #""\#(field.rawValue)": \#(wrong)"#
    let isPrompt = field == .messages || field == .prompt
    let whole = isPrompt ? "{\(member)}" : field.belongs(to: .chat) ? chat(member) : completion(member)
    expectRefused(whole, .invalid, field: field.rawValue)
  }

  @Test("a token outside the model's vocabulary is out of range, by name")
  func vocabulary() throws {
    let model = try loadTiny(idleContext())
    for (json, field) in [
      (completion(prompt: "[7, 100000]"), "prompt"), (chat(#""logit_bias": {"100000": 1}"#), "logit_bias"),
    ] {
      let read = try request(json)
      let error = #expect(throws: XverseError.self) { try read.generationRequest(for: model, allocator: .system) }
      #expect(error?.code == .range)
      #expect(error?.field == field)
    }
  }

  @Test(
    "hostile JSON is a parse error with its place",
    arguments: [
      "", "{", "[1", "nul", #"{"messages": [}"#, chat() + "x", #"{"prompt": "\ud800"}"#, #"{"prompt": "\udc00\ud800"}"#,
      #"{"prompt": "a", "prompt": "b"}"#, #"{"prompt": "a", "\u0070rompt": "b"}"#, #"{"prompt": NaN}"#,
      "{\"prompt\": \"\u{1}\"}", #"{"prompt": 'a'}"#, #"{"prompt": "a",}"#, #"{"prompt": 01}"#,
    ])
  func malformed(json: String) throws {
    let error = #expect(throws: XverseError.self) { _ = try request(json) }
    #expect(error?.code == .parse)
    #expect((0...json.utf8.count).contains(Int(error?.offset ?? -1)))
  }

  @Test("bytes that are not UTF-8, deep nesting and too many messages are refused")
  func bounds() throws {
    let invalid = #expect(throws: XverseError.self) {
      _ = try request(Array(#"{"prompt": ""#.utf8) + [0xFF, 0x22, 0x7D])
    }
    #expect(invalid?.code == .parse)
    for depth in [129, 100_000] {
      expectRefused(#"{"metadata": "# + String(repeating: "[", count: depth), .limit, field: nil)
    }
    let message = #"{"role":"user","content":""}"#
    let messages = Array(repeating: message, count: 65_537).joined(separator: ",")
    expectRefused(#"{"messages": [\#(messages)]}"#, .range, field: "messages")
  }

  @Test("what is no object is refused", arguments: ["[]", "1", #""a""#, "null", "true"])
  func noObject(json: String) { expectRefused(json, .invalid, field: nil) }

  @Test("long strings are read whole, and are cut in messages")
  func longStrings() throws {
    let long = String(repeating: "好", count: 350_000)
    #expect(try request(completion(prompt: "\"\(long)\"")).promptText.count == 1_050_000)
    let error = #expect(throws: XverseError.self) { _ = try request(chat("\"\(long)\": 1")) }
    #expect(error.map { $0.message.utf8.count < 2000 } == true)
    expectRefused(chat(#""model": "\#(long)""#), .range, field: "model")
  }

  @Test("the error object has message, type, param and code, whatever the words")
  func errorObjects() throws {
    let error = XverseError(.range, "'stop' is \"\\\u{1}\n好\"", field: "stop")
    let object = try #require(try errorObject(error)["error"])
    #expect(object.keys == ["message", "type", "param", "code"])
    #expect(object["message"]?.string == error.message)
    #expect(object["type"]?.string == "invalid_request_error")
    #expect(object["param"]?.string == "stop")
    #expect(object["code"]?.string == "invalid_value")
    let full = try #require(try errorObject(XverseError(.contextFull, "full"))["error"])
    #expect(full["param"]?.isNull == true)
    #expect(full["code"]?.string == "context_length_exceeded")
    let memory = try #require(try errorObject(.outOfMemory(bytes: 1))["error"])
    #expect(memory["type"]?.string == "server_error")
  }
}
