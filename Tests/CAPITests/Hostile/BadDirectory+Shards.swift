// BadDirectory+Shards.swift -- model.safetensors.index.json and its shards, which do not agree.

import CXverse
import Foundation
import Testing

extension BadDirectory {
  /// Splits the weights into two shards under an index, then spoils that.
  private static func sharded(
    _ name: String, _ status: Int, _ words: String...,
    change: @escaping @Sendable (ModelDirectory, inout [String: Any]) throws -> Void
  ) -> BadDirectory {
    BadDirectory(name: name, status: status, words: words) { directory in
      var map: [String: Any] = try directory.shard(into: [first, last])
      try change(directory, &map)
      // Unless the change has written an index of its own.
      guard !FileManager.default.fileExists(atPath: directory.file(index)) else { return }
      try directory.write(index, [UInt8](JSONSerialization.data(withJSONObject: ["weight_map": map])))
    }
  }

  /// An index that names this file for a tensor.
  private static func naming(_ shard: String, _ status: Int, _ words: String...) -> BadDirectory {
    var row = sharded("shard '\(shard.prefix(40))'", status) { _, map in map[embedding] = shard }
    row = BadDirectory(name: row.name, status: status, words: [index] + words, spoil: row.spoil)
    return row
  }

  private static func text(_ name: String, _ status: Int, _ words: String..., text: String) -> BadDirectory {
    let row = sharded(name, status) { directory, _ in try directory.write(index, text) }
    return BadDirectory(name: name, status: status, words: [index] + words, spoil: row.spoil)
  }

  private static let index = "model.safetensors.index.json"
  private static let first = "model-00001-of-00002.safetensors"
  private static let last = "model-00002-of-00002.safetensors"
  private static let embedding = "model.embed_tokens.weight"

  static let shards: [BadDirectory] = [
    sharded("shards that are whole", XVERSE_OK) { _, _ in },
    sharded("a missing shard", XVERSE_E_NOTFOUND, last, "missing") { directory, _ in try directory.remove(last) },
    sharded("a truncated last shard", XVERSE_E_CORRUPT, last, "truncated") { directory, _ in
      try directory.write(last, directory.bytes(of: last).dropLast())
    },
    sharded("an empty shard", XVERSE_E_CORRUPT, last, "empty") { directory, _ in try directory.write(last, "") },
    sharded("a FIFO for a shard", XVERSE_E_UNSUPPORTED, last, "FIFO") { directory, _ in
      try directory.replace(last) { mkfifo($0, 0o600) }
    },
    sharded("a tensor in two shards", XVERSE_OK) { directory, _ in
      let file = try SafetensorsFile(directory.bytes(of: first)).adding("model.norm.weight", shape: [32])
      try directory.write(first, file.bytes)
    },
    sharded("a tensor in another shard than the index says", XVERSE_OK) { _, map in map["model.norm.weight"] = first },
    sharded("a tensor of the index that is in no shard", XVERSE_OK) { _, map in map["model.extra"] = last },
    sharded("a shard that is a number", XVERSE_E_CORRUPT, index, embedding, "a number") { _, map in map[embedding] = 1
    },
    naming("../../etc/passwd", XVERSE_E_INVALID, "../../etc/passwd"),
    naming("/etc/passwd", XVERSE_E_INVALID, "/etc/passwd"),
    naming("a/../b.safetensors", XVERSE_E_INVALID, "a/../b.safetensors"),
    naming(".", XVERSE_E_INVALID, "'.'"), naming("..", XVERSE_E_INVALID, "'..'"), naming("", XVERSE_E_INVALID, "''"),
    naming("a\0.safetensors", XVERSE_E_INVALID, #"a\u{0}.safetensors"#),
    naming(String(repeating: "a", count: 300) + ".safetensors", XVERSE_E_INVALID, "aaa..."),
    naming("pytorch_model.bin", XVERSE_E_NOTFOUND, "pytorch_model.bin", "missing"),
    naming("\u{9B}2J.bin", XVERSE_E_NOTFOUND, #"\u{9b}2J.bin"#),
    text("an index that is no JSON", XVERSE_E_CORRUPT, "byte 1", text: "{"),
    text("an index without a map", XVERSE_E_CORRUPT, "weight_map", text: "{}"),
    text("a map that is an array", XVERSE_E_CORRUPT, "weight_map", text: #"{"weight_map": []}"#),
    text("an empty map", XVERSE_E_CORRUPT, "no shard", text: #"{"weight_map": {}}"#),
    text(
      "a million shards", XVERSE_E_LIMIT, "10000 shards",
      text: #"{"weight_map": {"# + (0..<1_000_000).map { "\"\($0)\":\"\($0).safetensors\"" }.joined(separator: ",")
        + "}}"),
    sharded("an index of 64 MiB and a byte", XVERSE_E_LIMIT, index, "67108865") { directory, _ in
      try directory.extend(index, to: 64 << 20 + 1)
    },
  ]
}
