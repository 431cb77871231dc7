// SafetensorsTarget.swift -- a .safetensors file, and an index over some.

import XverseCore
import XverseFormats

extension FuzzTarget {
  /// The bytes are a file that lacks the length of its header; the header ends before a byte FF, which none has. Without
  /// such a byte they are the whole file: few lengths made at random fit.
  static let safetensors = FuzzTarget(name: "safetensors") {
    let files = try ScratchFiles()
    return { bytes in
      var file = Array(bytes)
      if let header = bytes.firstIndex(of: 0xFF) {
        file = withUnsafeBytes(of: UInt64(header).littleEndian, Array.init) + bytes[..<header] + bytes[(header + 1)...]
      }
      let path = try files.write("model.safetensors", file)
      try file.withUnsafeBytes { file in
        try reading(file, multiple: 64, constant: 4096) { allocator in
          let checkpoint = try Checkpoint(path: path, mode: .read, allocator: allocator) {
            (_, _) throws(XverseError) in
          }
          try check(checkpoint, of: file.count)
        }
      }
    }
  }

  /// No tensor is more than the file, and all of them together are the data.
  private static func check(_ checkpoint: Checkpoint, of fileLength: Int) throws {
    try require((0...fileLength).contains(checkpoint.byteCount), "\(checkpoint.byteCount) bytes of tensors")
    let names = checkpoint.tensorNames
    try require(Set(names.map { Array($0.utf8) }).count == names.count, "names \(names)")
    for name in names {
      do {
        guard let tensor = try checkpoint.tensor(named: name) else { throw Violation("no tensor \(name)") }
        let last = tensor.data.advanced(by: tensor.byteCount)
        try require(tensor.byteCount <= checkpoint.byteCount && tensor.data <= last, "tensor \(tensor)")
        // Under AddressSanitizer a byte outside the file ends the process.
        for byte in UnsafeRawBufferPointer(start: tensor.data, count: tensor.byteCount) { sink &+= byte }
        let elements = tensor.shape.contains(0) ? 0 : tensor.shape.reduce(1, *)
        try require(tensor.dtype?.isQuantized == true || elements == tensor.elementCount, "shape of \(tensor)")
      } catch let error as XverseError where error.code == .unsupported {
        continue
      }
    }
  }

  /// Keeps reads from being optimized away.
  nonisolated(unsafe) private static var sink: UInt8 = 0
}
