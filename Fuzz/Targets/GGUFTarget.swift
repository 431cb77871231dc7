// GGUFTarget.swift -- a .gguf file: header, metadata, and the configuration in it.

import XverseCore
import XverseFormats
import XverseModels

extension FuzzTarget {
  /// The bytes are the file.
  static let gguf = FuzzTarget(name: "gguf") {
    let files = try ScratchFiles()
    return { bytes in
      let path = try files.write("model.gguf", Array(bytes))
      // The file, three times its header, and tables of what is described in 14 bytes or more.
      try reading(bytes, multiple: 32, constant: 4096) { allocator in
        let checkpoint = try Checkpoint(path: path, mode: .read, allocator: allocator) { (_, _) throws(XverseError) in }
        try check(checkpoint, of: bytes.count)
      }
      try reading(bytes, multiple: 32, constant: 4096) { allocator in
        let description = try GGUFDescription(CheckpointLocation(path: path), allocator: allocator)
        try check(description.metadata, of: bytes.count)
        _ = try ModelConfiguration(gguf: description)
      }
    }
  }

  /// Every value can be asked for everything, and lies within the file.
  private static func check(_ metadata: GGUFMetadata, of fileLength: Int) throws {
    for (key, value) in metadata.values(withPrefix: "") {
      try require((0...fileLength).contains(value.offset), "\(key) at \(value.offset)")
      try require(value.description.utf8.count < 2000, "the description of \(key)")
      var count = 0
      if try value.forEachText({ count += $0.count }) { try require(count <= fileLength, "texts of \(key)") }
      count = 0
      if try value.forEachInteger({ _ in count += 1 }) { try require(count == value.count, "numbers of \(key)") }
      _ = try value.forEachFloat { _ in }
      _ = (value.integer, value.number, value.bool, value.string)
    }
  }

  /// Every tensor lies within the file.
  private static func check(_ checkpoint: Checkpoint, of fileLength: Int) throws {
    try require((0...fileLength).contains(checkpoint.byteCount), "\(checkpoint.byteCount) bytes of tensors")
    for name in checkpoint.tensorNames {
      // A name that is no UTF-8 is none that can be asked for.
      guard let tensor = try checkpoint.tensor(named: name) else { continue }
      // Under AddressSanitizer a byte outside the file ends the process.
      for byte in UnsafeRawBufferPointer(start: tensor.data, count: tensor.byteCount) { sink &+= byte }
      try require(tensor.shape.allSatisfy { $0 > 0 } && tensor.elementCount > 0, "shape of \(tensor)")
    }
  }

  /// Keeps reads from being optimized away.
  nonisolated(unsafe) private static var sink: UInt8 = 0
}
