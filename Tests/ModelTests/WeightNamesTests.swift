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
    let layers = (0..<5).map(WeightNames.Layer.init).flatMap {
      [$0.inputNorm, $0.query, $0.key, $0.value, $0.output, $0.postAttentionNorm, $0.gate, $0.up, $0.down]
    }

    let names = layers + [WeightNames.embedding, WeightNames.finalNorm, WeightNames.head]

    #expect(names.sorted() == checkpoint.tensorNames.sorted())
    #expect(!names.contains(where: WeightNames.isIgnored))
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
