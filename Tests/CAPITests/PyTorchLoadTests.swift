// PyTorchLoadTests.swift -- files of torch.save give the logits of the same weights in safetensors, however they lie.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Loading PyTorch files")
  struct PyTorchLoadTests {
    /// The same weights in safetensors and in pytorch_model.bin.
    private func directories(
      _ dtype: TinyCheckpoint.DType = .float32, isTransposed: Bool = false
    ) throws -> (ModelDirectory, ModelDirectory) {
      var checkpoint = TinyCheckpoint()
      checkpoint.dtype = dtype
      let (expected, directory) = (try ModelDirectory(checkpoint), try ModelDirectory(checkpoint))
      try directory.remove("model.safetensors")
      try directory.write("pytorch_model.bin", checkpoint.pytorch(isTransposed: isTransposed).bytes)
      return (expected, directory)
    }

    @Test(
      "gives the logits of safetensors, by its directory and by its own path",
      arguments: [TinyCheckpoint.DType.float32, .float16, .bfloat16], [false, true])
    func agrees(dtype: TinyCheckpoint.DType, isTransposed: Bool) throws {
      let (expected, directory) = try directories(dtype, isTransposed: isTransposed)
      let logits = try logits(openModel(expected.path))
      #expect(try self.logits(openModel(directory.path)) == logits)
      #expect(try self.logits(openModel(directory.file("pytorch_model.bin"))) == logits)
      #expect(try self.logits(openModel(directory.path, #"{"load": "read"}"#)) == logits)
    }

    @Test("gives the logits of safetensors out of shards, and from a host's functions", arguments: [false, true])
    func agreesInShards(isTransposed: Bool) throws {
      let (expected, directory) = try directories(isTransposed: isTransposed)
      let checkpoint = TinyCheckpoint()
      let names = checkpoint.tensors.map(\.name)
      var map: [String: String] = [:]
      for (number, part) in [names.prefix(5), names.dropFirst(5)].enumerated() {
        let file = "pytorch_model-0000\(number + 1)-of-00002.bin"
        try directory.write(file, checkpoint.pytorch(isTransposed: isTransposed, only: Set(part)).bytes)
        for name in part { map[name] = file }
      }
      try directory.remove("pytorch_model.bin")
      let index = try JSONSerialization.data(withJSONObject: ["metadata": [:], "weight_map": map])
      try directory.write("pytorch_model.bin.index.json", [UInt8](index))
      let logits = try logits(openModel(expected.path))
      #expect(try self.logits(openModel(directory.path)) == logits)

      let files = try MemoryFiles(directory: directory.path)
      let model = try makeHandle(xverse_model_release) { out in files.load(into: &out.pointee) }
      #expect(try self.logits(model) == logits)
    }

    @Test("quantizes to what safetensors quantize to", arguments: ["int8", "int4"])
    func quantizes(type: String) throws {
      let (expected, directory) = try directories(isTransposed: true)
      let options = #"{"quantize": "\#(type)"}"#
      #expect(try logits(openModel(directory.path, options)) == logits(openModel(expected.path, options)))
    }

    @Test("inspect tells the format and the types", arguments: [false, true])
    func inspect(isTransposed: Bool) throws {
      let (_, directory) = try directories(.bfloat16, isTransposed: isTransposed)
      var text: UnsafeMutablePointer<CChar>?
      try check(xverse_model_inspect(directory.path, nil, &text, nil))
      defer { xverse_free(text) }
      let json = Data(String(cString: try #require(text)).utf8)
      let root = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
      #expect(root["format"] as? String == "pytorch")
      let types = try #require(root["dtypes"] as? [String: [String: Int]])
      #expect(types.keys.map(\.self) == ["bf16"] && types["bf16"]?["elements"] == root["n_params"] as? Int)
      #expect(root["files"] as? [String: Int] == ["pytorch_model.bin": 21])
    }

    @Test("verify=values finds a NaN by its place in the tensor, however it lies", arguments: [false, true])
    func verifyValues(isTransposed: Bool) throws {
      let (_, directory) = try directories()
      var file = TinyCheckpoint().pytorch(isTransposed: isTransposed)
      // Element [2, 3] of a matrix [48, 32].
      let name = "model.layers.1.mlp.up_proj.weight"
      let index = try #require(file.tensors.firstIndex { $0.name == name })
      let place = 4 * (2 * file.tensors[index].strides[0] + 3 * file.tensors[index].strides[1])
      file.storages[index].bytes.replaceSubrange(place..<place + 4, with: [0, 0, 0xC0, 0x7F])
      try directory.write("pytorch_model.bin", file.bytes)
      _ = try openModel(directory.path)
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, #"{"verify": "values"}"#)
      var out: OpaquePointer?
      expect(
        xverse_model_open(directory.path, options.pointer, &out), is: XVERSE_E_CORRUPT,
        saying: "pytorch_model.bin", name, "element 67")
    }

    private func logits(_ model: Handle) throws -> [Float] {
      let session = try Session(model)
      try check(session.evaluate(someTokens(20)))
      return try session.logits
    }
  }
}
