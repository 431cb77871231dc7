// XverseModel+Fingerprint.swift -- a number that tells models apart whose keys and values do not fit each other.

import XverseCore
import XverseTensors

extension XverseModel {
  /// Rows (of quantized matrices: panels of 16) of a matrix that are looked at, and bytes of each.
  private static let sampledRows = 16
  private static let sampledBytes = 4096

  /// 64 bits of everything that the keys and values of a sequence depend on: the sizes, the parameters of RoPE and norms,
  /// the type of each matrix, all weights of the norms, and of each matrix the first 4096 bytes of 16 rows or panels, the
  /// first and the last among them. Reads at most 64 KiB a matrix.
  package func fingerprint() -> UInt64 {
    var sum: UInt64 = 0
    func add(_ bytes: UnsafeRawBufferPointer) { sum = Checksum.of(bytes, seed: sum) }
    let c = configuration
    let sizes = [
      c.vocabularySize, c.hiddenSize, c.intermediateSize, c.layerCount, c.headCount, c.kvHeadCount, c.headSize,
      c.maximumPositions, c.tieWordEmbeddings ? 1 : 0,
    ]
    sizes.withUnsafeBytes(add)
    let scaling: [Double] =
      switch c.ropeScaling {
      case .none: [0, 0]
      case .linear(let factor): [1, factor]
      case .dynamic(let factor): [2, factor]
      }
    (scaling + [c.ropeTheta, Double(c.rmsNormEpsilon)]).withUnsafeBytes(add)
    for norm in norms { add(bytes(of: norm)) }
    for linear in linears {
      Array(linear.weights.dtype.name.utf8).withUnsafeBytes(add)
      for row in linear.weights.sampledRows(Self.sampledRows) {
        add(UnsafeRawBufferPointer(rebasing: row.prefix(Self.sampledBytes)))
      }
    }
    return sum
  }
}

extension WeightMatrix {
  /// `count` of its rows or panels, or all when there are fewer, evenly spread from the first to the last.
  fileprivate func sampledRows(_ count: Int) -> [UnsafeRawBufferPointer] {
    let panels = (rows + dtype.rowsPerPanel - 1) / dtype.rowsPerPanel
    let bytes = dtype.byteCount(rows: dtype.rowsPerPanel, columns: columns)
    let last = min(count, panels) - 1
    return (0...max(0, last)).map { index in
      UnsafeRawBufferPointer(start: data + index * (panels - 1) / max(1, last) * stride, count: bytes)
    }
  }
}
