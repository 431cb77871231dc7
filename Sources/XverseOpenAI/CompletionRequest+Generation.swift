// CompletionRequest+Generation.swift -- what a request means to a model.

import XverseCore
import XverseLoading
import XverseRuntime

extension CompletionRequest {
  /// Of completions without max_tokens, as OpenAI's interface has it. Answers in a chat may fill the context.
  private static let standardMaximumTokens = 16

  /// The prompt and options of one of the answers.
  ///
  /// A conversation keeps all its messages: one that does not fit is too long, and is not cut.
  ///
  /// - Parameter index: Which of the `answerCount` answers; each has a seed of its own.
  /// - Throws: `range` (a token outside the vocabulary), `outOfMemory`.
  package func generationRequest(
    for model: LoadedModel, answer index: Int = 0, allocator: MemoryAllocator
  ) throws(XverseError) -> GenerationRequest {
    let request = GenerationRequest(model, allocator: allocator)
    request.keepsAllMessages = true
    request.options = try options(for: model, answer: index)
    switch kind {
    case .chat: for message in messages { try request.add(message) }
    case .text:
      if !promptText.isEmpty { try request.add(text: UnsafeRawBufferPointer(promptText.elements)) }
      try naming(.prompt) { () throws(XverseError) in try request.add(tokens: promptTokens.elements) }
    }
    return request
  }

  /// The model's defaults, where it has none OpenAI's, under what the request says.
  package func options(for model: LoadedModel, answer index: Int = 0) throws(XverseError) -> GenerationOptions {
    let defaults = model.generationDefaults
    var options = GenerationOptions(defaults)
    // OpenAI's defaults are those of SamplingParameters, but that they draw.
    let standard = SamplingParameters()
    if defaults.doSample == nil { options.sampling.doSample = true }
    if defaults.topK == nil && defaults.faults["top_k"] == nil { options.sampling.topK = standard.topK }
    if kind == .text && defaults.maxNewTokens == nil && defaults.faults["max_new_tokens"] == nil {
      options.maximumNewTokens = Self.standardMaximumTokens
    }

    if let temperature = sampling.temperature {
      options.sampling.temperature = Float(temperature)
      options.sampling.doSample = temperature > 0
    }
    if let topP = sampling.topP { options.sampling.topP = Float(topP) }
    if let topK = sampling.topK { options.sampling.topK = topK }
    if let minP = sampling.minP { options.sampling.minP = Float(minP) }
    if let penalty = sampling.repetitionPenalty { options.sampling.repetitionPenalty = Float(penalty) }
    options.sampling.presencePenalty = Float(sampling.presencePenalty)
    options.sampling.frequencyPenalty = Float(sampling.frequencyPenalty)
    options.sampling.seed = sampling.seed.map { UInt64(bitPattern: Int64($0)) &+ UInt64(index) }
    options.sampling.logitBias = sampling.logitBias
    if let maximum = sampling.maximumTokens { options.maximumNewTokens = maximum }
    options.stops = sampling.stops
    options.ignoresEOS = sampling.ignoresEOS
    options.wantsLogprobs = wantsLogprobs
    options.topLogprobs = topLogprobs
    try naming(.logitBias) { () throws(XverseError) in
      try options.sampling.validateLogitBias(vocabularySize: model.configuration.vocabularySize)
    }
    return options
  }

  /// Adds to an error which field it is about.
  private func naming(_ field: RequestField, _ body: () throws(XverseError) -> Void) throws(XverseError) {
    do throws(XverseError) { try body() } catch {
      throw XverseError(error.code, "'\(field.rawValue)': \(error.message)", field: field.rawValue)
    }
  }
}
