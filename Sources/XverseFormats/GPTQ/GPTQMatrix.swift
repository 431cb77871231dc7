// GPTQMatrix.swift -- one matrix as AutoGPTQ packs it:
//
//   qweight I32 [columns * bits / 32, rows]   codes of consecutive inputs, the first in the lowest bits
//   qzeros  I32 [groups, rows * bits / 32]    zero points of consecutive outputs, one too small in the first version
//   scales  F16 [groups, rows]
//   g_idx   I32 [columns]                     the group of each input; absent: neighbours
//
//   W[row, column] = scale[g, row] * (code[column, row] - zero[g, row]),  g the group of the column

import XverseCore
import XverseTensors

/// The tensors of one matrix `[rows, columns]` = `[outputs, inputs]`, checked: every index that the layout implies is inside.
package struct GPTQMatrix {
  let rows: Int
  let columns: Int
  let parameters: GPTQParameters
  let groupCount: Int
  /// For messages.
  let fileName: String
  let name: String
  private let codes: CheckpointTensor
  private let zeros: CheckpointTensor
  private let scales: CheckpointTensor
  /// The group of each column.
  let groups: [Int32]

  /// - Throws: `corrupt` for a shape or a group that cannot be, `unsupported` for another type, `limit`.
  package init(
    codes: CheckpointTensor, zeros: CheckpointTensor, scales: CheckpointTensor, groupIndices: CheckpointTensor?,
    rows: Int, columns: Int, _ parameters: GPTQParameters
  ) throws(XverseError) {
    self.rows = rows
    self.columns = columns
    self.parameters = parameters
    (self.codes, self.zeros, self.scales) = (codes, zeros, scales)
    (fileName, name) = (codes.fileName, codes.name)
    groupCount = parameters.groupCount(columns: columns)
    let perWord = parameters.codesPerWord
    guard rows.isMultiple(of: perWord), columns.isMultiple(of: perWord) else {
      throw .unsupported(
        "\(fileName): tensor '\(name.inMessage)' is of a matrix [\(rows), \(columns)], "
          + "expected multiples of \(perWord), the codes of \(parameters.bits) bits in a word")
    }
    try codes.require(.i32, [columns / perWord, rows])
    try zeros.require(.i32, [groupCount, rows / perWord])
    try scales.require(.f16, [groupCount, rows])
    groups = try Self.groups(groupIndices, columns: columns, count: groupCount, parameters)
  }

  private static func groups(
    _ tensor: CheckpointTensor?, columns: Int, count: Int, _ parameters: GPTQParameters
  ) throws(XverseError) -> [Int32] {
    guard let tensor else {
      return (0..<columns).map { Int32($0 / (parameters.groupSize ?? columns)) }
    }
    try tensor.require(.i32, [columns])
    var groups: [Int32] = []
    groups.reserveCapacity(columns)
    for column in 0..<columns {
      let group = Int32(littleEndian: tensor.data.loadUnaligned(fromByteOffset: 4 * column, as: Int32.self))
      guard group >= 0, group < count else {
        throw .corrupt(
          "\(tensor.fileName): tensor '\(tensor.name.inMessage)' has group \(group) at \(column), "
            + "expected 0 to \(count - 1)")
      }
      groups.append(group)
    }
    return groups
  }

  /// Bytes of the codes, which are nearly all.
  package var byteCount: Int { codes.byteCount }

  /// Whether the columns that share a scale in our blocks share one here.
  func hasUniformGroups(of size: Int) -> Bool {
    (0..<columns).allSatisfy { groups[$0] == groups[$0 / size * size] }
  }

  /// The bits of an f16.
  func scale(_ group: Int, _ row: Int) -> UInt16 {
    UInt16(littleEndian: scales.data.loadUnaligned(fromByteOffset: 2 * (group * rows + row), as: UInt16.self))
  }

  /// 0 ... 16 for 4 bits, 0 ... 256 for 8.
  func zero(_ group: Int, _ row: Int) -> Int {
    let (word, place) = row.quotientAndRemainder(dividingBy: parameters.codesPerWord)
    let offset = 4 * (group * (rows / parameters.codesPerWord) + word)
    let bits = UInt32(littleEndian: zeros.data.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    return Int(bits >> UInt32(place * parameters.bits) & (1 << UInt32(parameters.bits) - 1)) + parameters.zeroOffset
  }

  /// The codes of rows `range`, one a byte: `result [range.count, columns]`.
  func unpack(_ range: Range<Int>, into result: UnsafeMutableBufferPointer<UInt8>, by kernels: Kernels) {
    precondition(range.upperBound <= rows && result.count >= range.count * columns, "rows \(range) of \(rows)")
    kernels.unpackGPTQ(
      codes.data + 4 * range.lowerBound, bits: parameters.bits, stride: rows, rows: range.count, columns: columns,
      into: result)
  }
}

extension CheckpointTensor {
  /// - Throws: `unsupported` for another type, `corrupt` for another shape.
  fileprivate func require(_ type: ElementType, _ expected: [Int]) throws(XverseError) {
    guard encoding == .elements(type), strides == nil else {
      throw .unsupported(
        "\(fileName): tensor '\(name.inMessage)' has dtype \(encoding.name), expected \(type.rawValue), row-major")
    }
    guard shape == expected else {
      throw .corrupt("\(fileName): tensor '\(name.inMessage)' has shape \(shape), expected \(expected)")
    }
  }
}
