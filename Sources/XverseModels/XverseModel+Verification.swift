// XverseModel+Verification.swift -- reads every weight once: a NaN or an infinity anywhere makes every answer worthless.

import XverseCore
import XverseFormats
import XverseTensors

extension XverseModel {
  /// Checks that every element of every weight is finite; what was converted from other blocks is so already.
  ///
  /// - Parameter progress: Called before each tensor, and at the end, with bytes done of total.
  /// - Throws: `corrupt` naming the file, the tensor, the index and the value; what `progress` throws.
  package func verifyValues(
    of checkpoint: Checkpoint, progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    var tensors: [CheckpointTensor] = []
    for name in checkpoint.tensorNames where WeightNames.isUsed(name, in: checkpoint.format, by: configuration) {
      if let tensor = try checkpoint.tensor(named: name) { tensors.append(tensor) }
    }
    let total = tensors.reduce(0) { $0 + $1.byteCount }
    var done = 0
    for tensor in tensors {
      try progress(done, total)
      if let index = tensor.firstNonFinite {
        throw .corrupt(
          "\(tensor.fileName): tensor '\(tensor.name)' has a NaN or infinite value at element \(index), expected finite values"
        )
      }
      done += tensor.byteCount
    }
    try progress(total, total)
  }
}

extension CheckpointTensor {
  /// The index of the first element whose exponent bits are all set; nil when every element is finite, as those of int4
  /// always are.
  fileprivate var firstNonFinite: Int? {
    switch storedType {
    case nil, .int4: nil
    case .float32: first(where: { (bits: UInt32) in bits & 0x7F80_0000 == 0x7F80_0000 })
    case .float16: first(where: { (bits: UInt16) in bits & 0x7C00 == 0x7C00 })
    case .bfloat16: first(where: { (bits: UInt16) in bits & 0x7F80 == 0x7F80 })
    case .int8: firstBlock(scalesBehind: DType.int8.elementsPerBlock)
    case .int4F16: firstBlock(scalesBehind: DType.int4F16.elementsPerBlock / 2)
    }
  }

  /// The index of the first block with a scale, an f16 each of its rows, whose exponent bits are all set.
  private func firstBlock(scalesBehind codes: Int) -> Int? {
    guard let dtype, let size = dtype.blockSize else { return nil }
    for block in 0..<byteCount / size {
      for row in 0..<dtype.rowsPerPanel {
        let offset = block * size + codes + MemoryLayout<UInt16>.size * row
        let bits = UInt16(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        if bits & 0x7C00 == 0x7C00 { return block }
      }
    }
    return nil
  }

  private func first<Bits: FixedWidthInteger & BitwiseCopyable>(where isNonFinite: (Bits) -> Bool) -> Int? {
    let size = MemoryLayout<Bits>.size
    for index in 0..<elementCount
    where isNonFinite(Bits(littleEndian: data.loadUnaligned(fromByteOffset: place(of: index) * size, as: Bits.self))) {
      return index
    }
    return nil
  }
}
