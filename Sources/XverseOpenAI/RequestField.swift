// RequestField.swift -- the fields that a request may have, and what each may be. docs/openai.md has a row for each.

import XverseCore
import XverseRuntime

/// A field of a request.
enum RequestField: String, CaseIterable {
  // The prompt.
  case messages, prompt
  // Sampling.
  case temperature
  case topP = "top_p"
  case topK = "top_k"
  case minP = "min_p"
  case repetitionPenalty = "repetition_penalty"
  case presencePenalty = "presence_penalty"
  case frequencyPenalty = "frequency_penalty"
  case logitBias = "logit_bias"
  case seed
  // The end.
  case maxTokens = "max_tokens"
  case maxCompletionTokens = "max_completion_tokens"
  case stop
  case ignoreEOS = "ignore_eos"
  // The response.
  case model, n, logprobs, stream
  case topLogprobs = "top_logprobs"
  case streamOptions = "stream_options"
  // What is supported in one value only, which asks for nothing.
  case responseFormat = "response_format"
  case tools, functions, modalities, suffix, echo
  case toolChoice = "tool_choice"
  case functionCall = "function_call"
  case bestOf = "best_of"
  // What cannot change an answer.
  case user, metadata, store
  case serviceTier = "service_tier"
  case safetyIdentifier = "safety_identifier"
  case promptCacheKey = "prompt_cache_key"
  case promptCacheRetention = "prompt_cache_retention"
  case parallelToolCalls = "parallel_tool_calls"

  /// Whether requests of that kind have it.
  func belongs(to kind: CompletionRequest.Kind) -> Bool {
    switch self {
    case .prompt, .suffix, .echo, .bestOf: kind == .text
    case .messages, .maxCompletionTokens, .topLogprobs, .responseFormat, .tools, .functions, .modalities, .toolChoice,
      .functionCall, .parallelToolCalls:
      kind == .chat
    default: true
    }
  }
}

extension CompletionRequest {
  /// Most bytes of a string that names something: a model, a user.
  private static let maximumNameLength = 1024

  /// Takes a field's value, or refuses it.
  func read(_ field: RequestField, _ value: RequestValue) throws(XverseError) {
    switch field {
    case .messages: try readMessages(value)
    case .prompt: try readPrompt(value)

    case .temperature: sampling.temperature = try value.number(in: 0...2)
    case .topP: sampling.topP = try value.number(in: 0...1)
    // vLLM's -1 switches it off as 0 does.
    case .topK: sampling.topK = max(0, try value.integer(in: -1...Int(Int32.max)))
    case .minP: sampling.minP = try value.number(in: 0...1)
    case .repetitionPenalty: sampling.repetitionPenalty = try value.number(in: 0x1p-20...0x1p20)
    case .presencePenalty: sampling.presencePenalty = try value.number(in: -2...2)
    case .frequencyPenalty: sampling.frequencyPenalty = try value.number(in: -2...2)
    case .logitBias: try readLogitBias(value)
    case .seed: sampling.seed = try value.integer(in: Int.min...Int.max)

    case .maxTokens, .maxCompletionTokens: sampling.maximumTokens = try value.integer(in: 0...Int(Int32.max))
    case .stop: try readStops(value)
    case .ignoreEOS: sampling.ignoresEOS = try value.bool()

    case .model: model = try value.string(bytes: 0...Self.maximumNameLength)
    case .n: answerCount = try value.integer(in: 1...Self.maximumAnswerCount)
    case .logprobs: try readLogprobs(value)
    case .topLogprobs: topLogprobs = try value.integer(in: 0...20)
    case .stream: isStreaming = try value.bool()
    case .streamOptions: try readStreamOptions(value)

    case .responseFormat:
      guard value.value.kind == .object else { throw value.invalid(expected: "an object") }
      try value.required("type", expected: "\"text\"").requireString(["text"])
      try value.requireMembers(["type"])
    case .tools, .functions: try value.requireEmptyArray()
    case .toolChoice, .functionCall: try requireNoChoice(value)
    case .modalities:
      guard value.value.kind == .array else { throw value.invalid(expected: "an array") }
      for (index, element) in value.value.elements.enumerated() {
        try value.element(element, index).requireString(["text"])
      }
    case .suffix: try value.requireString([""])
    case .echo: if try value.bool() { throw value.unsupported(expected: "false") }
    // Compared with n when that is known.
    case .bestOf: _ = try value.integer(in: 1...Self.maximumAnswerCount)

    case .user, .serviceTier, .safetyIdentifier, .promptCacheKey, .promptCacheRetention:
      _ = try value.string(bytes: 0...Self.maximumNameLength)
    case .metadata: guard value.value.kind == .object else { throw value.invalid(expected: "an object") }
    case .store, .parallelToolCalls: _ = try value.bool()
    }
  }

  /// Without tools, which are not supported, "auto" comes to "none". An object would name a tool.
  private func requireNoChoice(_ value: RequestValue) throws(XverseError) {
    if value.value.kind == .object { throw value.unsupported(expected: "\"none\" or \"auto\"") }
    try value.requireString(["none", "auto"])
  }

  private func readLogprobs(_ value: RequestValue) throws(XverseError) {
    switch kind {
    case .chat: wantsLogprobs = try value.bool()
    case .text:
      topLogprobs = try value.integer(in: 0...5)
      wantsLogprobs = true
    }
  }

  private func readStreamOptions(_ value: RequestValue) throws(XverseError) {
    try value.requireMembers(["include_usage", "include_obfuscation"])
    if let usage = value["include_usage"] { includesUsage = try usage.bool() }
    if let padding = value["include_obfuscation"], try padding.bool() {
      throw padding.unsupported(expected: "false")
    }
  }

  private func readStops(_ value: RequestValue) throws(XverseError) {
    let length = 1...StopMatcher.maximumLength
    guard value.value.kind == .array else {
      guard value.value.kind == .string else { throw value.invalid(expected: "a string or an array of strings") }
      sampling.stops = [Array(try value.string(bytes: length).utf8)]
      return
    }
    for (index, element) in value.value.elements.enumerated() {
      guard index < StopMatcher.maximumCount else {
        throw value.outOfRange(expected: "at most \(StopMatcher.maximumCount) strings")
      }
      sampling.stops.append(Array(try value.element(element, index).string(bytes: length).utf8))
    }
  }

  private static let maximumBiasCount = 65_536

  private func readLogitBias(_ value: RequestValue) throws(XverseError) {
    guard value.value.kind == .object else {
      throw value.invalid(expected: "an object of token ids and numbers")
    }
    for member in value.value.members where !member.value.isNull {
      guard sampling.logitBias.count < Self.maximumBiasCount else {
        throw value.outOfRange(expected: "at most \(Self.maximumBiasCount) tokens")
      }
      guard let token = member.key.withBytes({ tokenID($0) }) else {
        throw value.invalid(expected: "token ids as keys, found '\(member.key.snippet)'")
      }
      let bias = try value.member(member.value, "\(token)").number(in: -100...100)
      sampling.logitBias.append((token, Float(bias)))
    }
  }

  /// The id that a key spells in digits.
  private func tokenID(_ key: UnsafeRawBufferPointer) -> Int32? {
    // Ten digits are enough for any.
    key.count <= 10 && key.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      ? Int32(String(decoding: key, as: UTF8.self)) : nil
  }
}
