// BadDirectory+Weights.swift -- good files with tensors that are not those of the model, or with numbers that are none.

import CXverse
import Foundation
import Testing

extension BadDirectory {
  private static func tensor(
    _ name: String, _ status: Int, _ words: String..., change: @escaping @Sendable (SafetensorsFile) -> SafetensorsFile
  ) -> BadDirectory {
    BadDirectory(name: name, status: status, words: words, isFoundByLoadAlone: true) {
      try $0.write("model.safetensors", change(SafetensorsFile($0.bytes(of: "model.safetensors"))).bytes)
    }
  }

  private static let up = "model.layers.1.mlp.up_proj.weight"

  static let weights: [BadDirectory] = [
    tensor("a missing tensor", XVERSE_E_CORRUPT, up, "missing", "[48, 32]") {
      $0.keeping(Set($0.names).subtracting([up]))
    },
    tensor("a transposed tensor", XVERSE_E_CORRUPT, "model.safetensors", up, "[32, 48]", "[48, 32]") {
      $0.shaping(up, [32, 48])
    },
    tensor("a flat tensor", XVERSE_E_CORRUPT, "model.safetensors", up, "[1536]", "[48, 32]") { $0.shaping(up, [1536]) },
    tensor("a missing norm", XVERSE_E_CORRUPT, "model.norm.weight", "missing", "[32]") {
      $0.keeping(Set($0.names).subtracting(["model.norm.weight"]))
    },
    tensor("integers for weights", XVERSE_E_UNSUPPORTED, "model.safetensors", up, "I32", "F32") {
      $0.typing(up, "I32")
    },
    tensor("blocks of too few rows", XVERSE_E_CORRUPT, "model.safetensors", up, "[2, 1, 288]", "[3, 1, 288]") {
      $0.blocks(up, [2, 1, 288])
    },
    tensor("blocks of too many columns", XVERSE_E_CORRUPT, "model.safetensors", up, "[3, 2, 544]", "[3, 1, 544]") {
      $0.blocks(up, [3, 2, 544])
    },
    tensor("blocks of another size", XVERSE_E_UNSUPPORTED, "model.safetensors", up, "[3, 1, 300]", "544, 288 or 304") {
      $0.blocks(up, [3, 1, 300])
    },
    tensor("blocks for a norm", XVERSE_E_CORRUPT, "model.safetensors", "model.norm.weight", "[1, 1, 288]", "[32]") {
      $0.blocks("model.norm.weight", [1, 1, 288])
    },
    tensor("no blocks at all, but many rows", XVERSE_E_CORRUPT, "model.safetensors", up, "[3, 1, 288]") {
      $0.blocks(up, [1 << 59, 0, 288])
    },
    tensor("a tensor for the embedding of another vocabulary", XVERSE_E_CORRUPT, "model.embed_tokens.weight", "[2, 32]")
    {
      $0.removing("model.embed_tokens.weight").adding("model.embed_tokens.weight", shape: [2, 32])
    },
    tensor("a tensor for a number", XVERSE_E_CORRUPT, up, "[]", "[48, 32]") {
      $0.removing(up).adding(up, shape: [])
    },
    tensor("no tensors at all", XVERSE_E_CORRUPT, "missing") { $0.keeping([]) },
    tensor("a tensor that the model does not have", XVERSE_OK) { $0.adding("model.layers.9.\u{A}", shape: [2]) },
    tensor("a NaN that nobody looks for", XVERSE_OK) { $0.replacing(up, element: 5, with: .nan) },
    number("a NaN", .nan, up), number("an infinity", -.infinity, "model.norm.weight"),
    number("a NaN in the embedding", .nan, "model.embed_tokens.weight"),
    number("a NaN at the end", .nan, "lm_head.weight"),
    BadDirectory(name: "scales of zero", status: XVERSE_OK, words: [], options: #"{"verify": "values"}"#) {
      let file = try SafetensorsFile($0.bytes(of: "model.safetensors"))
      try $0.write("model.safetensors", file.blocks(up, [3, 1, 544]).bytes)
    },
    BadDirectory(
      name: "scales that are NaN", status: XVERSE_E_CORRUPT, words: ["model.safetensors", up],
      isFoundByLoadAlone: true, options: #"{"verify": "values"}"#
    ) {
      let file = try SafetensorsFile($0.bytes(of: "model.safetensors"))
      try $0.write("model.safetensors", file.blocks(up, [3, 1, 544], of: 0xFF).bytes)
    },
  ]

  /// A number that only option verify finds.
  private static func number(_ name: String, _ value: Float, _ tensor: String) -> BadDirectory {
    BadDirectory(
      name: name, status: XVERSE_E_CORRUPT, words: ["model.safetensors", tensor, "element 7"],
      isFoundByLoadAlone: true, options: #"{"verify": "values"}"#
    ) {
      let file = try SafetensorsFile($0.bytes(of: "model.safetensors"))
      try $0.write("model.safetensors", file.replacing(tensor, element: 7, with: value).bytes)
    }
  }
}
