// WeightNamesTests.swift -- the names of the tensors, against a real checkpoint.

import TestSupport
import Testing
import XverseCore
import XverseFormats

@testable import XverseModels

@Suite("WeightNames")
struct WeightNamesTests {
  @Test("names every tensor of the reference model and no other", .enabled(if: SharedData.isAvailable))
  func namesAllTensors() throws {
    let path = SharedData.file("data/stories260k-xverse/hf-f32")
    let checkpoint = try Checkpoint(path: path, mode: .map, allocator: .system) { (_, _) throws(XverseError) in }
    let file = try CheckpointLocation(path: path).requiredCompanion("config.json", maximumLength: 1 << 20)
    let configuration = try ModelConfiguration(json: JSONDocument(file.bytes, owner: file, source: file.name))

    let keys = configuration.matrixKeys + configuration.normKeys

    let names = keys.map { $0.name(in: .safetensors) }
    #expect(names.sorted() == checkpoint.tensorNames.sorted())
    #expect(!names.contains(where: WeightNames.isIgnored))
  }

  @Test("finds the key of a name in both formats", arguments: [WeightsFormat.safetensors, .pytorch, .gguf])
  func findsKeys(format: WeightsFormat) {
    for role in WeightKey.Role.allCases {
      let key = WeightKey(role, layer: role.declaration.isInLayers ? 79 : nil)
      #expect(WeightKey(named: key.name(in: format), in: format) == key)
    }
  }

  @Test(
    "finds no key of a name that only looks alike",
    arguments: [
      "model.layers.01.mlp.up_proj.weight", "model.layers.mlp.up_proj.weight", "mlp.up_proj.weight", ".weight", "",
      "model.layers.1.mlp.up_proj", "model.layers.1.lm_head.weight", "model.layers..mlp.up_proj.weight",
      "model.layers.99999999999999999999.mlp.up_proj.weight", "blk.1.ffn_up.weight",
    ])
  func findsNoKey(name: String) {
    #expect(WeightKey(named: name, in: .safetensors) == nil)
  }

  @Test(
    "ignores the tables of older checkpoints",
    arguments: [
      "model.layers.3.self_attn.rotary_emb.inv_freq", "model.layers.0.self_attn.rotary_emb.cos_cached",
      "rotary_emb.sin_cached",
    ])
  func ignoresTables(name: String) {
    #expect(WeightNames.isIgnored(name))
  }

  @Test(
    "ignores no weight that only looks alike",
    arguments: [
      "model.layers.3.self_attn.rotary_emb.weight", "my_rotary_emb.inv_freq", "lm_head.weight", "",
    ])
  func keepsOthers(name: String) {
    #expect(!WeightNames.isIgnored(name))
  }
}
