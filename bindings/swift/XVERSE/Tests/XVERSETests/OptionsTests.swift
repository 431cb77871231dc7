import CXverse
import Foundation
import Testing

@testable import XVERSE

@Suite("Options")
struct OptionsTests {
  @Test("come back from JSON as they were")
  func roundTrip() throws {
    let options = SamplingOptions(
      doSample: true, temperature: 0.7, topK: 5, seed: -1, stop: ["\n", "停"], logitBias: [7: -1.5], ignoreEOS: false)
    let json = try JSONEncoder().encode(options)
    #expect(try JSONDecoder().decode(SamplingOptions.self, from: json) == options)
    let parsed = try JSONSerialization.jsonObject(with: json)
    let members = try #require(parsed as? [String: Any])
    #expect(Set(members.keys) == ["do_sample", "temperature", "top_k", "stop", "logit_bias", "ignore_eos", "seed"])
  }

  @Test("have every key of the library, and no other")
  func everyKey() {
    func keys(_ kind: Int) -> Set<String> {
      var info = xverse_option_info()
      info.size = UInt32(MemoryLayout<xverse_option_info>.size)
      var keys: Set<String> = []
      while xverse_options_describe(Int32(kind), Int32(keys.count), &info) == XVERSE_OK {
        keys.insert(String(cString: info.key))
      }
      return keys
    }
    #expect(Set(RuntimeOptions.CodingKeys.allCases.map(\.rawValue)) == keys(RuntimeOptions.kind))
    #expect(Set(ModelOptions.CodingKeys.allCases.map(\.rawValue)) == keys(ModelOptions.kind))
    #expect(Set(SessionOptions.CodingKeys.allCases.map(\.rawValue)) == keys(SessionOptions.kind))
    #expect(Set(SamplingOptions.CodingKeys.allCases.map(\.rawValue)) == keys(SamplingOptions.kind))
    #expect(Set(SchedulerOptions.CodingKeys.allCases.map(\.rawValue)) == keys(SchedulerOptions.kind))
    #expect(Set(ConversionOptions.CodingKeys.allCases.map(\.rawValue)) == keys(ConversionOptions.kind))
    #expect(Set(ScoringOptions.CodingKeys.allCases.map(\.rawValue)) == keys(ScoringOptions.kind))
  }

  @Test("are all accepted by the library")
  func accepted() throws {
    _ = try SamplingOptions(
      doSample: true, temperature: 0.5, topK: 1, topP: 0.5, minP: 0.1, typicalP: 0.9, repetitionPenalty: 1.1,
      repeatLastN: 8, frequencyPenalty: 0.1, presencePenalty: -0.1, seed: 7, maxNewTokens: 1, stop: ["a"],
      logitBias: [1: -.greatestFiniteMagnitude], ignoreEOS: true, logprobs: true, deadlineMilliseconds: 1000, n: 2,
      priority: -1, promptLookupNumTokens: 2, numAssistantTokens: 2
    ).handle()
    _ = try ModelOptions(
      quantize: .int4, load: .read, verify: .values, vocabOnly: true, ropeTheta: 500_000, ropeScaling: "linear:2",
      prefixCache: 0
    ).handle()
    _ = try SessionOptions(context: 64, kvType: .int8, overflow: .shift).handle()
    _ = try ConversionOptions(quantize: .int8, maxShardSize: 1 << 30, format: .gguf, type: .q8_0).handle()
  }

  @Test("out of bounds are an error that names the option")
  func outOfBounds() throws {
    let error = try #require(throws: XverseError.self) { _ = try SamplingOptions(topP: 2).handle() }
    #expect(error.status == .range && error.message.contains("top_p"))
  }

  @Test("that JSON cannot express are an error")
  func notANumber() throws {
    let error = try #require(throws: XverseError.self) { _ = try SamplingOptions(temperature: .nan).handle() }
    #expect(error.status == .range)
  }
}
