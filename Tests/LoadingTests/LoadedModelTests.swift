// LoadedModelTests.swift -- loading as a whole: progress, warnings, overrides, what is checked between the files.

import Foundation
import ModelTestSupport
import Synchronization
import TestSupport
import Testing
import XverseCore
import XverseFormats
import XverseModels
import XverseTensors

@testable import XverseLoading

@Suite("LoadedModel")
struct LoadedModelTests {
  private func load(
    _ directory: TemporaryDirectory, _ options: ModelOptions = ModelOptions(),
    allocator: MemoryAllocator = MemoryAllocator(), log: Log = Log(),
    progress: @escaping ComputeContext.Report = { (_, _, _) throws(XverseError) in }
  ) throws -> LoadedModel {
    try LoadedModel(
      .path(FilePath(directory.path)), options: options, idleContext(allocator: allocator, log: log, report: progress))
  }

  @Test("tells phases, and in the end that all bytes are there")
  func tellsProgress() throws {
    var options = ModelOptions()
    options.verifiesValues = true
    var steps: [(phase: String, done: Int, total: Int)] = []

    let model = try load(try writeTiny(), options) { (phase, done, total) throws(XverseError) in
      steps.append((phase.description, done, total))
    }

    #expect(Set(steps.map(\.phase)) == ["load", "verify"])
    #expect(steps.allSatisfy { $0.done <= $0.total })
    let last = try #require(steps.last)
    #expect(last.phase == "load")
    #expect(last.done == model.weightBytes)
    #expect(last.total == model.weightBytes)
  }

  @Test("whatever progress throws ends it, and no memory stays", arguments: 0..<8)
  func endsByProgress(place: Int) throws {
    var options = ModelOptions()
    options.verifiesValues = true
    let allocator = MemoryAllocator()
    var count = 0

    let error = #expect(throws: XverseError.self) {
      _ = try load(try writeTiny(), options, allocator: allocator) { (_, _, _) throws(XverseError) in
        if count == place { throw XverseError(.stopped, "enough") }
        count += 1
      }
    }

    #expect(error?.message == "enough")
    #expect(allocator.current == 0)
  }

  @Test("warns of tensors that it does not use, but not of RoPE's saved tables")
  func warnsOfUnusedTensors() throws {
    let lines = Mutex<[String]>([])
    let log = Log(level: .warning) { _, message in lines.withLock { $0.append(message) } }
    let directory = try writeTiny()
    // Two layers' weights in the file, one in the configuration.
    var checkpoint = TinyCheckpoint()
    (checkpoint.kvHeadCount, checkpoint.layerCount) = (2, 1)
    let data = try JSONSerialization.data(withJSONObject: checkpoint.configuration)
    try directory.write("config.json", Array(data))

    _ = try load(directory, log: log)

    let warnings = lines.withLock { $0 }
    #expect(warnings.count == 9)
    #expect(warnings.allSatisfy { $0.contains("model.layers.1.") && $0.contains(directory.path) })
  }

  @Test("a value that is not finite is found when values are verified, and only then")
  func verifiesValues() throws {
    let directory = try writeTiny()
    var file = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/model.safetensors"))
    file.replaceSubrange(file.count - 4..<file.count, with: [0, 0, 0x80, 0x7F])
    try directory.write("model.safetensors", Array(file))
    var options = ModelOptions()
    options.verifiesValues = true

    let error = #expect(throws: XverseError.self) { _ = try load(directory, options) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("lm_head.weight") == true)
    #expect(try load(directory).model != nil)
  }

  @Test("both ways of reading give the same logits")
  func readsAndMaps() throws {
    let directory = try writeTiny { $0.dtype = .float16 }
    var options = ModelOptions()
    options.mode = .read
    let (mapped, read) = (try Oracle(load(directory)), try Oracle(load(directory, options)))
    let tokens = randomTokens(20, seed: 1)

    let logits = try [mapped, read].map { try $0.logits(after: tokens) }

    #expect(logits[0] == logits[1])
  }

  @Test("options override RoPE")
  func overridesRoPE() throws {
    var options = ModelOptions()
    (options.ropeTheta, options.ropeScaling) = (500_000, .linear(factor: 2))
    let scaling: [String: Any] = ["type": "linear", "factor": 2]
    let written = try loadTiny(idleContext()) {
      $0.extraConfiguration = ["rope_theta": 500_000, "rope_scaling": scaling]
    }
    let (overridden, plain) = (try loadTiny(options: options, idleContext()), try loadTiny(idleContext()))
    let tokens = randomTokens(12, seed: 2)

    let logits = try [written, overridden, plain].map { try Oracle($0).logits(after: tokens) }

    #expect(logits[0] == logits[1])
    #expect(logits[0] != logits[2])
  }

  @Test("a vocabulary smaller than the embedding is refused by the embedding, not by the tokenizer")
  func refusesOtherEmbedding() throws {
    let directory = try writeTiny()
    var configuration = TinyCheckpoint().configuration
    configuration["vocab_size"] = 369
    try directory.write("config.json", Array(try JSONSerialization.data(withJSONObject: configuration)))

    let error = #expect(throws: XverseError.self) { _ = try load(directory) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("embed_tokens.weight") == true)
  }

  @Test("special ids are generation_config.json's before config.json's")
  func choosesSpecials() throws {
    let model = try loadTiny(idleContext()) {
      $0.generationConfiguration = ["eos_token_id": [7, 8], "bos_token_id": 9]
    }

    #expect(model.specialTokens.eos == [7, 8])
    #expect(model.specialTokens.bos == 9)
    #expect(model.specialTokens.pad == 1)
  }

  @Test("gives all memory back when it goes")
  func givesBack() throws {
    let allocator = MemoryAllocator()
    var options = ModelOptions()
    options.mode = .read

    do {
      let model = try load(try writeTiny(), options, allocator: allocator)
      #expect(allocator.current > model.weightBytes)
    }

    #expect(allocator.current == 0)
  }
}
