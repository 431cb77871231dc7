// GenerationOptionsTests.swift -- the defaults of a generation, and values of the model's that cannot be used.

import ModelTestSupport
import Testing
import XverseCore
import XverseLoading

@testable import XverseRuntime

@Suite("GenerationOptions")
struct GenerationOptionsTests {
  private func options(_ change: (inout GenerationDefaults) -> Void = { _ in }) -> GenerationOptions {
    var defaults = GenerationDefaults()
    change(&defaults)
    return GenerationOptions(defaults)
  }

  // The values of GenerationConfig() in transformers.
  @Test("what nobody says is as in transformers' GenerationConfig")
  func takesGenerationConfig() throws {
    let options = try options { $0.doSample = true }.usable()

    #expect(options.sampling.topK == 50)
    #expect(options.sampling.temperature == 1 && options.sampling.topP == 1 && options.sampling.typicalP == 1)
    #expect(options.sampling.minP == 0 && options.sampling.repetitionPenalty == 1)
    #expect(self.options().sampling.isGreedy)
  }

  @Test("top_k of the model's counts, also 0, which is off", arguments: [0, 1, 30, 1000])
  func takesTopK(value: Int) throws {
    #expect(try options { ($0.doSample, $0.topK) = (true, value) }.usable().sampling.topK == value)
  }

  @Test(
    "a value that cannot be used fails where it is needed, naming itself and its option",
    arguments: ["top_k", "top_p", "min_p", "typical_p", "temperature", "repetition_penalty", "max_new_tokens"])
  func failsWhenNeeded(key: String) throws {
    let options = options { ($0.doSample, $0.faults) = (true, [key: "generation_config.json: '\(key)' is odd"]) }

    let error = #expect(throws: XverseError.self) { try options.usable() }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "generation_config.json: '\(key)' is odd: mend the file or set option '\(key)'")
  }

  @Test(
    "a greedy generation does not need what only drawing looks at",
    arguments: ["top_k", "top_p", "min_p", "typical_p", "temperature"])
  func greedyNeedsLess(key: String) throws {
    let model = try loadTiny()
    var options = options { $0.faults = [key: "odd"] }
    options.maximumNewTokens = 3

    let result = try Session(model).generate(generationPrompt, options)

    #expect(result.tokenArray == (try Session(model).generate(generationPrompt, greedyOptions(3))).tokenArray)
  }

  @Test("an option replaces a value that cannot be used")
  func isReplaced() throws {
    var options = options {
      ($0.doSample, $0.faults) = (true, ["top_k": "odd", "top_p": "odd", "max_new_tokens": "odd"])
    }
    options.sampling.topK = 5
    options.sampling.topP = 0.5
    options.maximumNewTokens = 4

    let usable = try options.usable()

    #expect(usable.sampling.topK == 5 && usable.sampling.topP == 0.5 && usable.maximumNewTokens == 4)
  }

  @Test("a session is as before when a value cannot be used")
  func leavesSession() throws {
    let session = try Session(try loadTiny())
    let options = options { $0.faults = ["repetition_penalty": "odd"] }

    let error = #expect(throws: XverseError.self) { try session.generate(generationPrompt, options) }

    #expect(error?.code == .corrupt)
    #expect(session.length == 0)
  }
}
