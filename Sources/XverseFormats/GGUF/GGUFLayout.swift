// GGUFLayout.swift -- where the tensors of a GGUF file lie: one behind the other, aligned, to the end of the file.

import XverseCore
import XverseTensors

/// A tensor as the header describes it.
struct GGUFTensor: BitwiseCopyable {
  let nameStart: Int
  let nameLength: Int
  let rank: Int
  /// The innermost first, as in the file; 1 beyond `rank`.
  let dimensions: (Int, Int, Int, Int)
  let type: GGMLType
  /// From the beginning of the data.
  let offset: UInt64

  /// The outermost first.
  var shape: [Int] {
    Array([dimensions.0, dimensions.1, dimensions.2, dimensions.3][..<rank].reversed())
  }
}

/// The lengths that a file's tensors are checked against.
struct GGUFLayout {
  let fileName: String
  let fileNumber: Int
  let headerLength: Int
  let fileLength: Int
  let alignment: Int

  /// Where the data begin.
  private var dataStart: Int { padded(headerLength) }

  /// The next multiple of the alignment; .max beyond the last one.
  private func padded(_ length: Int) -> Int {
    length > .max - alignment ? .max : (length + alignment - 1) & ~(alignment - 1)
  }

  /// Sorts the tensors by their place and checks that they follow each other with no more than padding between them.
  ///
  /// - Throws: `corrupt`. O(n log n).
  func check(_ tensors: inout Buffer<GGUFTensor>, _ metadata: GGUFMetadata) throws(XverseError) {
    var view = tensors.mutableElements
    view.sort { ($0.offset, $0.nameStart) < ($1.offset, $1.nameStart) }
    var end = min(dataStart, fileLength)
    for tensor in tensors.elements {
      let begin = padded(end)
      let byteCount = try byteCount(of: tensor, metadata)
      guard begin >= dataStart, tensor.offset == UInt64(begin - dataStart) else {
        throw fault(
          tensor, metadata,
          "begins at byte \(tensor.offset) of the data, expected \(begin - dataStart), where the tensor before it ends, "
            + "aligned to \(alignment)")
      }
      guard begin <= fileLength, byteCount <= fileLength - begin else {
        throw fault(
          tensor, metadata,
          "needs \(byteCount) bytes at byte \(begin), but the file has \(fileLength) bytes: it is truncated")
      }
      end = begin + byteCount
    }
    guard fileLength - end < alignment || tensors.isEmpty else {
      throw .corrupt(
        "\(fileName): the tensors end at byte \(end), expected \(fileLength), the end of the file", offset: end)
    }
  }

  /// Adds tensors that were checked.
  func add(
    _ tensors: borrowing Buffer<GGUFTensor>, _ metadata: GGUFMetadata, to table: inout TensorTable
  ) throws(XverseError) {
    for tensor in tensors.elements {
      try table.add(
        metadata.bytes(at: tensor.nameStart, count: tensor.nameLength), encoding: TensorEncoding(tensor.type),
        shape: tensor.shape, file: fileNumber, begin: dataStart + Int(tensor.offset),
        byteCount: byteCount(of: tensor, metadata))
    }
  }

  private func byteCount(of tensor: GGUFTensor, _ metadata: GGUFMetadata) throws(XverseError) -> Int {
    let block = tensor.type.block
    let columns = tensor.dimensions.0
    guard columns % block.columns == 0 else {
      throw fault(
        tensor, metadata,
        "has rows of \(columns) columns, expected a multiple of \(block.columns) for \(tensor.type.name)")
    }
    var bytes = columns / block.columns
    for factor in [block.bytes, tensor.dimensions.1, tensor.dimensions.2, tensor.dimensions.3] {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: factor)
      guard !overflow else {
        throw fault(tensor, metadata, "has shape \(tensor.shape) of \(tensor.type.name), which is no number of bytes")
      }
      bytes = product
    }
    return bytes
  }

  private func fault(_ tensor: GGUFTensor, _ metadata: GGUFMetadata, _ what: String) -> XverseError {
    let name = String(decoding: metadata.bytes(at: tensor.nameStart, count: tensor.nameLength), as: UTF8.self)
    return .corrupt("\(fileName): tensor '\(name.inMessage)' \(what)", offset: tensor.nameStart)
  }
}

extension TensorEncoding {
  /// Numbers that a GGUF file holds one by one are like those of every other file.
  init(_ type: GGMLType) {
    switch type {
    case .f32: self = .elements(.f32)
    case .f16: self = .elements(.f16)
    case .bf16: self = .elements(.bf16)
    default: self = .blocks(type)
    }
  }
}
