// WrappedNamesTests.swift -- weights that were saved with the names of what had wrapped the model, or without its own.

import TestSupport
import Testing
import XverseCore
import XverseFormats
import XverseTensors

@testable import XverseModels

@Suite("Wrapped names")
struct WrappedNamesTests {
  @Test(
    "takes the name of a wrapper off, wherever it stands",
    arguments: [
      ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
      ("layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
      ("embed_tokens.weight", "model.embed_tokens.weight"), ("norm.weight", "model.norm.weight"),
      ("lm_head.weight", "lm_head.weight"), ("model.lm_head.weight", "lm_head.weight"),
      ("_orig_mod.model.norm.weight", "model.norm.weight"), ("module.lm_head.weight", "lm_head.weight"),
      ("base_model.model.model.norm.weight", "model.norm.weight"),
      ("base_model.model.lm_head.weight", "lm_head.weight"),
      ("module._orig_mod.model.embed_tokens.weight", "model.embed_tokens.weight"),
      ("_forward_module.model.norm.weight", "model.norm.weight"),
      ("model.model.norm.weight", "model.norm.weight"),
      ("model.layers.0._orig_mod.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
      (
        "_fsdp_wrapped_module.model.layers.3._fsdp_wrapped_module._checkpoint_wrapped_module.mlp.up_proj.qweight",
        "model.layers.3.mlp.up_proj.qweight"
      ),
    ])
  func unwraps(name: String, expected: String) {
    #expect(WeightNames.unwrapped(name) == expected)
  }

  @Test(
    "leaves other tensors alone",
    arguments: ["", ".", "model", "transformer.h.0.weight", "language_model.model.norm.weight", "rotary.inv_freq"])
  func leavesOthers(name: String) {
    #expect(WeightNames.unwrapped(name) == nil)
  }

  @Test(
    "a model loads under any of these names, with a warning",
    arguments: ["_orig_mod.", "module.", "base_model.model.", "model.", "module._orig_mod.", "_forward_module.", ""])
  func loads(prefix: String) throws {
    let renamed = try SafetensorsPatch(tinyCheckpoint()).renaming { name in
      prefix.isEmpty ? String(name.trimmingPrefix("model.")) : prefix + name
    }

    let opened = try load(renamed)

    #expect(opened.checkpoint.warnings.count == 1)
    #expect(opened.checkpoint.warnings.first?.contains("tensors have other names than a model's") == true)
    let plain = try load(tinyCheckpoint().safetensors)
    #expect(plain.checkpoint.warnings == [])
    #expect(opened.checkpoint.tensorNames == plain.checkpoint.tensorNames)
    for name in plain.checkpoint.tensorNames {
      let (left, right) = (try opened.checkpoint.tensor(named: name), try plain.checkpoint.tensor(named: name))
      let (l, r) = (try #require(left), try #require(right))
      #expect(
        UnsafeRawBufferPointer(start: l.data, count: l.byteCount)
          .elementsEqual(UnsafeRawBufferPointer(start: r.data, count: r.byteCount)))
    }
  }

  @Test("a tensor that is there under its own name stays, and the wrapped one is left")
  func keepsOwnNames() throws {
    let renamed = try SafetensorsPatch(tinyCheckpoint()).renaming {
      $0 == "lm_head.weight" ? "module.model.norm.weight" : $0
    }
    #expect(throws: XverseError.self) { try load(renamed) }
  }

  @Test("says what is there in place of a weight that is missing")
  func namesOthers() throws {
    let renamed = try SafetensorsPatch(tinyCheckpoint()).renaming { "transformer." + $0 }

    let error = #expect(throws: XverseError.self) { try load(renamed) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("is missing, expected with shape") == true)
    #expect(error?.message.contains("tensors of other names, such as 'transformer.lm_head.weight'") == true)
  }

  private func load(_ weights: [UInt8]) throws -> (checkpoint: Checkpoint, model: XverseModel) {
    let directory = try TemporaryDirectory()
    try tinyCheckpoint().write(to: directory)
    try directory.write("model.safetensors", weights)
    let location = try CheckpointLocation(path: directory.path)
    let file = try location.requiredCompanion("config.json", maximumLength: 1 << 20)
    let configuration = try ModelConfiguration(json: JSONDocument(file.bytes, owner: file, source: file.name))
    let checkpoint = try Checkpoint(ofModelAt: location, mode: .map, allocator: .system) { (_, _) throws(XverseError) in
    }
    let context = ComputeContext(kernels: try Kernels(threadCount: 1), allocator: .system)
    let model = try XverseModel(configuration, checkpoint: checkpoint, importer: WeightImporter(context))
    return (checkpoint, model)
  }
}
