// EstimateTests.swift -- what is told before loading is what loading takes.

import CXverse
import TestSupport
import Testing

extension ABI {
  @Suite("The estimate of memory")
  struct EstimateTests {
    private func estimate(
      _ path: String, _ model: String? = nil, _ session: String? = nil
    ) throws -> xverse_memory_estimate {
      let modelOptions = try model.map { try makeOptions(XVERSE_OPTIONS_MODEL, $0) }
      let sessionOptions = try session.map { try makeOptions(XVERSE_OPTIONS_SESSION, $0) }
      var result = xverse_memory_estimate()
      result.size = UInt32(MemoryLayout<xverse_memory_estimate>.size)
      try check(xverse_model_estimate(path, modelOptions?.pointer, sessionOptions?.pointer, &result))
      return result
    }

    /// A model whose weights outweigh what every model takes.
    private func directory(_ change: (inout TinyCheckpoint) -> Void = { _ in }) throws -> ModelDirectory {
      var checkpoint = TinyCheckpoint()
      checkpoint.maximumPositions = 1024
      change(&checkpoint)
      return try ModelDirectory(checkpoint)
    }

    @Test(
      "is within 3 % of what is then taken",
      arguments: [
        ("{}", "{}"), (#"{"load": "read"}"#, #"{"kv_type": "int8"}"#),
        (#"{"quantize": "int4"}"#, #"{"context": 700, "kv_type": "f16"}"#),
        (#"{"quantize": "int8", "load": "read"}"#, "{}"),
      ])
    func agreesWithLoading(model: String, session: String) throws {
      let directory = try directory()
      let estimate = try estimate(directory.path, model, session)
      let runtime = try makeRuntime()
      let loaded = try openModel(directory.path, model, on: runtime)
      let afterLoading = try memory(of: runtime)
      close(estimate.weights_resident, afterLoading.current)
      #expect(Double(afterLoading.peak) <= 1.03 * Double(estimate.load_peak))

      let used = try Session(loaded, session)
      try check(used.evaluate(someTokens(session.contains("700") ? 700 : 1024)))
      close(estimate.weights_resident + estimate.kv_total + estimate.scratch, try memory(of: runtime).current)
      let sum = estimate.weights_resident + estimate.weights_mapped + estimate.kv_total + estimate.scratch
      #expect(estimate.total == sum)
    }

    private func close(
      _ estimate: Int64, _ taken: Int64, sourceLocation: SourceLocation = #_sourceLocation
    ) {
      let ratio = Double(estimate) / Double(taken)
      #expect(abs(ratio - 1) <= 0.03, "estimated \(estimate), taken \(taken)", sourceLocation: sourceLocation)
    }

    @Test("tells mapped weights apart from those in memory")
    func partsMappedFromResident() throws {
      let directory = try directory()
      let mapped = try estimate(directory.path)
      let read = try estimate(directory.path, #"{"load": "read"}"#)
      let info = try info(of: openModel(directory.path))
      // The norms are widened into memory.
      #expect(mapped.weights_mapped > info.weight_bytes * 9 / 10 && mapped.weights_mapped <= info.weight_bytes)
      #expect(read.weights_mapped == 0)
      #expect(read.weights_resident >= mapped.weights_resident + mapped.weights_mapped)
      #expect(mapped.host_available > 0)
    }

    @Test("of a vocabulary alone has no weights and no session")
    func vocabularyOnly() throws {
      let directory = try directory()
      let estimate = try estimate(directory.path, #"{"vocab_only": 1}"#)
      #expect(estimate.weights_resident > 0)
      #expect(estimate.weights_mapped == 0 && estimate.kv_total == 0 && estimate.scratch == 0)
    }

    @Test("fails as loading does, and for options of another kind by their name")
    func fails() throws {
      var result = xverse_memory_estimate()
      result.size = UInt32(MemoryLayout<xverse_memory_estimate>.size)
      let directory = try directory()
      expect(xverse_model_estimate("/nowhere", nil, nil, &result), is: XVERSE_E_NOTFOUND, saying: "/nowhere")
      let session = try makeOptions(XVERSE_OPTIONS_SESSION)
      let status = xverse_model_estimate(directory.path, session.pointer, nil, &result)
      expect(status, is: XVERSE_E_INVALID, saying: "model")
      try directory.edit("config.json", ["hidden_size": 7])
      expect(xverse_model_estimate(directory.path, nil, nil, &result), is: XVERSE_E_CORRUPT, saying: "config.json")
    }
  }
}
