// PyTorchTarget.swift -- a file of torch.save: the archive, or the pickle in one.

import TestSupport
import XverseCore
import XverseFormats

extension FuzzTarget {
  /// Bytes that begin as a zip archive are the file; all others are the data.pkl of an archive with storages "0", of 48
  /// bytes, and "1", of none.
  static let pytorch = FuzzTarget(name: "pytorch") {
    let files = try ScratchFiles()
    return { bytes in
      let file = bytes.starts(with: "PK".utf8) ? Array(bytes) : archive(of: Array(bytes))
      let path = try files.write("pytorch_model.bin", file)
      // The file itself, its directory, and what 64 times the pickle may take.
      try file.withUnsafeBytes { file in
        try reading(file, multiple: 80, constant: 16384) { allocator in
          let checkpoint = try Checkpoint(path: path, mode: .read, allocator: allocator) {
            (_, _) throws(XverseError) in
          }
          try check(checkpoint, of: file.count)
        }
      }
    }
  }

  private static func archive(of pickle: [UInt8]) -> [UInt8] {
    var file = PyTorchFile()
    file.pickle = pickle
    file.add(storage: [Float](repeating: 1, count: 12))
    file.add(storage: [])
    return file.bytes
  }

  /// Every tensor lies within the file, and its last element within it.
  private static func check(_ checkpoint: Checkpoint, of fileLength: Int) throws {
    for name in checkpoint.tensorNames {
      guard let tensor = try checkpoint.tensor(named: name) else { throw Violation("no tensor \(name)") }
      try require((0...fileLength).contains(tensor.byteCount), "\(tensor.byteCount) bytes of \(name)")
      // Under AddressSanitizer a byte outside the file ends the process.
      for byte in UnsafeRawBufferPointer(start: tensor.data, count: tensor.byteCount) { sink &+= byte }
      guard let size = tensor.storedType?.elementSize, tensor.elementCount > 0 else { continue }
      let last = tensor.place(of: tensor.elementCount - 1)
      try require((0..<tensor.byteCount / size).contains(last), "element \(last) of \(tensor)")
    }
  }

  /// Keeps reads from being optimized away.
  nonisolated(unsafe) private static var sink: UInt8 = 0
}
