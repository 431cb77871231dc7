// ModelInspectionTests.swift -- what is told of a model from its headers.

import Foundation
import ModelTestSupport
import TestSupport
import Testing
import XverseCore

@testable import XverseLoading

private func inspect(_ directory: TemporaryDirectory, options: ModelOptions = ModelOptions()) throws -> [String: Any] {
  let text = try ModelInspection.json(path: directory.path, options: options, allocator: MemoryAllocator())
  return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

extension [String: Any] {
  fileprivate func int(_ key: String) -> Int? { self[key] as? Int }
  fileprivate func object(_ key: String) -> [String: Any] { self[key] as? [String: Any] ?? [:] }
}

@Suite("ModelInspection")
struct ModelInspectionTests {
  @Test("tells the shape of the model")
  func tellsShape() throws {
    let directory = try writeTiny { $0.dtype = .bfloat16 }

    let json = try inspect(directory)

    #expect(json["name"] as? String == directory.path.split(separator: "/").last.map(String.init))
    #expect(json["arch"] as? String == "xverse")
    #expect(json.int("n_layers") == 2)
    #expect(json.int("n_embd") == 32)
    #expect(json.int("n_ff") == 48)
    #expect(json.int("n_heads") == 4)
    #expect(json.int("n_kv_heads") == 2)
    #expect(json.int("head_size") == 8)
    #expect(json.int("n_vocab") == 370)
    #expect(json.int("n_ctx_train") == 256)
    #expect(json["rms_norm_eps"] as? Double == 1e-6)
    #expect(json["rope_theta"] as? Double == 10_000)
    #expect(json["rope_scaling"] as? String == "none")
    #expect(json["tie_word_embeddings"] as? Bool == false)
    #expect(json.object("tokenizer").int("n_vocab") == 370)
    #expect(json.object("generation")["eos_token_id"] as? [Int] == [3])
    #expect(json.object("generation").int("bos_token_id") == 2)
    #expect(json.object("generation").int("pad_token_id") == 1)
  }

  @Test("counts weights as they are stored", arguments: [TinyCheckpoint.DType.float32, .float16, .bfloat16])
  func countsWeights(dtype: TinyCheckpoint.DType) throws {
    var checkpoint = TinyCheckpoint()
    (checkpoint.kvHeadCount, checkpoint.dtype) = (2, dtype)
    let elements = checkpoint.tensors.reduce(0) { $0 + $1.values.count }
    let (name, size) = [.float32: ("f32", 4), .float16: ("f16", 2), .bfloat16: ("bf16", 2)][dtype] ?? ("", 0)

    let json = try inspect(try writeTiny { $0.dtype = dtype })

    #expect(json.int("n_params") == elements)
    #expect(json.int("weight_bytes") == elements * size)
    #expect(json["format"] as? String == "safetensors")
    #expect(json.object("dtypes").count == 1)
    #expect(json.object("dtypes").object(name).int("elements") == elements)
    #expect(json.object("dtypes").object(name).int("bytes") == elements * size)
    #expect(json["files"] as? [String: Int] == ["model.safetensors": checkpoint.tensors.count])
  }

  @Test("tells defaults of generation that the checkpoint has, and no others")
  func tellsDefaults() throws {
    let directory = try writeTiny {
      $0.generationConfiguration = ["do_sample": true, "temperature": 0.5, "top_k": 30, "eos_token_id": [3, 5]]
    }

    let generation = try inspect(directory).object("generation")

    #expect(generation["do_sample"] as? Bool == true)
    #expect(generation["temperature"] as? Double == 0.5)
    #expect(generation.int("top_k") == 30)
    #expect(generation["eos_token_id"] as? [Int] == [3, 5])
    #expect(generation["top_p"] == nil)
    #expect(generation["max_new_tokens"] == nil)
  }

  @Test("tells how RoPE is scaled", arguments: ["linear", "dynamic"])
  func tellsScaling(type: String) throws {
    let scaling: [String: Any] = ["rope_type": type, "factor": 2.5]
    let json = try inspect(try writeTiny { $0.extraConfiguration = ["rope_scaling": scaling, "rope_theta": 500_000] })

    #expect(json["rope_scaling"] as? String == "\(type):2.5")
    #expect(json["rope_theta"] as? Double == 500_000)
  }

  @Test("options override what the file says")
  func takesOptions() throws {
    var options = ModelOptions()
    options.ropeTheta = 77
    options.ropeScaling = .linear(factor: 4)

    let json = try inspect(try writeTiny(), options: options)

    #expect(json["rope_theta"] as? Double == 77)
    #expect(json["rope_scaling"] as? String == "linear:4.0")
  }

  @Test("vocab_only does not look at weights")
  func skipsWeights() throws {
    let directory = try writeTiny()
    try FileManager.default.removeItem(atPath: directory.path + "/model.safetensors")
    var options = ModelOptions()
    options.vocabularyOnly = true

    let json = try inspect(directory, options: options)

    #expect(json.int("n_params") != nil)
    #expect(json["weight_bytes"] == nil)
    #expect(json["dtypes"] == nil)
  }

  @Test("a file that is missing is named", arguments: ["config.json", "tokenizer.json", "model.safetensors"])
  func namesMissing(file: String) throws {
    let directory = try writeTiny()
    try FileManager.default.removeItem(atPath: directory.path + "/" + file)

    let error = #expect(throws: XverseError.self) { try inspect(directory) }

    #expect(error?.code == .notFound)
    #expect(error?.message.contains(file) == true)
  }

  @Test("works without generation_config.json")
  func worksWithoutDefaults() throws {
    let directory = try writeTiny()
    try FileManager.default.removeItem(atPath: directory.path + "/generation_config.json")

    #expect(try inspect(directory).object("generation")["eos_token_id"] as? [Int] == [3])
  }

  @Test("holds no memory afterwards")
  func holdsNothing() throws {
    let directory = try writeTiny()
    let allocator = MemoryAllocator()

    _ = try ModelInspection.json(path: directory.path, options: ModelOptions(), allocator: allocator)

    #expect(allocator.current == 0)
    #expect(allocator.peak > 0)
  }
}
