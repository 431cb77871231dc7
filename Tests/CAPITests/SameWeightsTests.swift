// SameWeightsTests.swift -- the reference model out of every kind of file that it can stand in: the same logits, bit for bit.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("The same weights", .enabled(if: SharedData.isAvailable))
  struct SameWeightsTests {
    private let place: TemporaryDirectory
    private let root = SharedData.file("data/stories260k-xverse/")

    init() throws { place = try TemporaryDirectory() }

    private func logits(_ path: String) throws -> [UInt32] {
      let model = try openModel(path)
      let tokens = try encode(model, "Once upon a time, there was a little girl named Lily. She had 2 cats.")
      let session = try Session(model)
      try check(session.evaluate([1] + tokens))
      return try session.logits.map(\.bitPattern)
    }

    private func convert(_ source: String, to name: String, _ json: String = "{}") throws -> String {
      let options = try makeOptions(XVERSE_OPTIONS_CONVERT, json)
      let destination = place.path + "/" + name
      try check(xverse_convert(nil, source, destination, options.pointer, nil, nil, nil))
      return destination
    }

    /// A copy of a directory without its weights.
    private func copy(_ source: String, to name: String) throws -> String {
      let destination = place.path + "/" + name
      try FileManager.default.createDirectory(atPath: destination, withIntermediateDirectories: true)
      for file in try FileManager.default.contentsOfDirectory(atPath: source) where file.hasSuffix(".json") {
        try place.write(name + "/" + file, [UInt8](Data(contentsOf: URL(fileURLWithPath: source + "/" + file))))
      }
      return destination
    }

    @Test("in bf16: safetensors in one file and in shards, .bin in one file and in shards")
    func bfloat16() throws {
      let source = root + "hf-bf16"
      let expected = try logits(source)
      #expect(try logits(root + "hf-bf16-bin") == expected)
      let shards = try convert(source, to: "shards", #"{"max_shard_size": 200000}"#)
      #expect(try FileManager.default.contentsOfDirectory(atPath: shards).count { $0.hasSuffix(".safetensors") } > 2)
      #expect(try logits(shards) == expected)
      let pickled = try copy(source, to: "bin")
      try place.write("bin/pytorch_model.bin", pytorch(source + "/model.safetensors"))
      #expect(try logits(pickled) == expected)
    }

    @Test("in f16: shards, one file, a GGUF file and one of our own")
    func float16() throws {
      let source = root + "hf-f16-sharded"
      let expected = try logits(source)
      #expect(try logits(convert(source, to: "single")) == expected)
      #expect(try logits(root + "stories260k-xverse-f16.gguf") == expected)
      #expect(try logits(convert(source, to: "ours.gguf", #"{"format": "gguf", "type": "f16"}"#)) == expected)
    }

    @Test("beside a tokenizer.json in the old spelling: merges as strings")
    func oldSpelling() throws {
      let source = root + "hf-bf16"
      let directory = try copy(source, to: "old")
      let weights = try Data(contentsOf: URL(fileURLWithPath: source + "/model.safetensors"))
      try place.write("old/model.safetensors", [UInt8](weights))
      let file = URL(fileURLWithPath: directory + "/tokenizer.json")
      var tokenizer = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
      var model = try #require(tokenizer["model"] as? [String: Any])
      let merges = try #require(model["merges"] as? [[String]])
      model["merges"] = merges.map { $0.joined(separator: " ") }
      tokenizer["model"] = model
      try JSONSerialization.data(withJSONObject: tokenizer).write(to: file)
      #expect(try logits(directory) == logits(source))
    }

    /// The bf16 tensors of a safetensors file as torch.save writes them.
    private func pytorch(_ path: String) throws -> [UInt8] {
      let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
      let length = bytes[0..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
      let header = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length]))
      var file = PyTorchFile()
      for (name, value) in try #require(header as? [String: Any]) where name != "__metadata__" {
        let entry = try #require(value as? [String: Any])
        let shape = try #require(entry["shape"] as? [Int])
        let range = try #require(entry["data_offsets"] as? [Int])
        #expect(entry["dtype"] as? String == "BF16")
        var tensor = PyTorchFile.Tensor(
          name, shape, storage: "\(file.storages.count)", count: shape.reduce(1, *))
        tensor.storageType = "BFloat16Storage"
        file.tensors.append(tensor)
        let (begin, end) = (8 + length + range[0], 8 + length + range[1])
        file.storages.append(("\(file.storages.count)", Array(bytes[begin..<end])))
      }
      return file.bytes
    }
  }
}
