// ShardIndexTarget.swift -- model.safetensors.index.json over two shards that are there.

import XverseCore
import XverseFormats

extension FuzzTarget {
  /// The bytes are the index; a.safetensors holds tensor "a", b.safetensors tensors "b" and "c".
  static let shardIndex = FuzzTarget(name: "shard-index") {
    let files = try ScratchFiles()
    try files.write("config.json", Array("{}".utf8))
    try files.write("a.safetensors", shard(["a"]))
    try files.write("b.safetensors", shard(["b", "c"]))
    return { bytes in
      try files.write("model.safetensors.index.json", bytes)
      try reading(bytes, multiple: 128, constant: 8192) { allocator in
        let checkpoint = try Checkpoint(path: files.path, mode: .read, allocator: allocator) {
          (_, _) throws(XverseError) in
        }
        let names = checkpoint.tensorNames
        try require(!names.isEmpty && Set(names).isSubset(of: ["a", "b", "c"]), "tensors \(names)")
      }
    }
  }

  /// A file of bytes, one in each tensor.
  private static func shard(_ names: [String]) -> [UInt8] {
    let entries = names.enumerated().map { place, name in
      #""\#(name)": {"dtype": "U8", "shape": [1], "data_offsets": [\#(place), \#(place + 1)]}"#
    }
    let header = Array("{\(entries.joined(separator: ", "))}".utf8)
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init)
    return length + header + [UInt8](repeating: 0, count: names.count)
  }
}
