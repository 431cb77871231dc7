// WeightImporter.swift -- weights in a form that the kernels take, made of what stands in a file in another.

import XverseCore
import XverseTensors

/// Converts tensors of a checkpoint, one at a time, into memory of its own.
///
/// Memory: the results. Threads: the one that loads; the work is done on the compute thread.
package final class WeightImporter {
  /// Which row of a matrix stands where in its file.
  package enum RowOrder: Equatable, Sendable {
    case natural
    /// Rows `i` and `i + headSize / 2` of each head, which RoPE turns together, stand side by side: as in GGUF.
    case rotaryPairs(heads: Int)
  }

  package let context: ComputeContext
  /// What the results stand in.
  package private(set) var memory: [WeightStorage] = []
  /// Matrices that fit in none of our types and were rounded anew.
  package internal(set) var requantizedCount = 0

  /// Bytes of the tensors that have been converted, as they stand in their files.
  package private(set) var importedBytes = 0
  /// Bytes that a planner would have taken.
  package private(set) var plannedBytes = 0
  let isPlanning: Bool

  package init(_ context: ComputeContext) {
    self.context = context
    isPlanning = false
  }

  /// A planner: it counts what converting would take, and its matrices have types and sizes but no numbers. Vectors, which
  /// are small, it converts.
  package init(planningWith context: ComputeContext) {
    self.context = context
    isPlanning = true
  }

  /// A matrix without memory, counted.
  func planned(_ dtype: DType, rows: Int, columns: Int) -> WeightMatrix {
    plannedBytes += dtype.byteCount(rows: rows, columns: columns)
    return WeightMatrix(planned: dtype, rows: rows, columns: columns)
  }

  /// The weights `[rows, columns]` that `tensor` holds, or a vector as one row.
  ///
  /// - Throws: `unsupported` for an encoding that no weights have, `corrupt`, `outOfMemory`, `cancelled`, `deadline`.
  package func matrix(
    _ tensor: CheckpointTensor, rows: Int, columns: Int, order: RowOrder = .natural
  ) throws(XverseError) -> WeightMatrix {
    if isPlanning, rows > 1, let dtype = tensor.encoding.importedType {
      return planned(dtype, rows: rows, columns: columns)
    }
    defer { importedBytes += tensor.byteCount }
    switch tensor.encoding {
    case .elements(let type):
      guard let dtype = type.dtype(shape: [rows, columns]), let size = dtype.elementSize else {
        throw tensor.unsupportedEncoding
      }
      let storage = try storage(dtype, rows: rows, columns: columns)
      try gather(tensor, elementSize: size, to: storage.bytes, rows: rows, columns: columns, order)
      return WeightMatrix(data: storage.start, dtype: dtype, rows: rows, columns: columns)
    case .blocks(let type): return try matrix(tensor, of: type, rows: rows, columns: columns, order)
    }
  }

  /// Memory for a result, which lives as long as the importer and whoever takes its `memory`.
  func storage(_ dtype: DType, rows: Int, columns: Int) throws(XverseError) -> WeightStorage {
    let storage = try WeightStorage(
      byteCount: dtype.byteCount(rows: rows, columns: columns), allocator: context.allocator)
    keep(storage)
    return storage
  }

  /// Takes a result's memory over.
  func keep(_ storage: WeightStorage) { memory.append(storage) }

  func countImported(_ byteCount: Int) { importedBytes += byteCount }

  /// Gives back a result that is of no use.
  func release(_ storage: WeightStorage) { memory.removeAll { $0 === storage } }

  /// Copies elements that stand one by one into their places.
  private func gather(
    _ tensor: CheckpointTensor, elementSize size: Int, to destination: UnsafeMutableRawBufferPointer, rows: Int,
    columns: Int, _ order: RowOrder
  ) throws(XverseError) {
    let strides = tensor.strides ?? [columns, 1]
    let (rowStride, columnStride) = (strides.count == 2 ? strides[0] : 0, strides.last ?? 1)
    try requireWithin(tensor, elementSize: size, rows: rows, columns: columns, rowStride, columnStride)
    for row in 0..<rows {
      if row % 1024 == 0 { try context.check() }
      let source = tensor.data + order.storedRow(of: row, in: rows) * rowStride * size
      let place = destination.baseAddress.unsafelyUnwrapped + row * columns * size
      if columnStride == 1 {
        place.copyMemory(from: source, byteCount: columns * size)
      } else {
        for column in 0..<columns {
          (place + column * size).copyMemory(from: source + column * columnStride * size, byteCount: size)
        }
      }
    }
  }

  /// The reader of the file has seen to it already; here it is what keeps every access of `gather` inside.
  private func requireWithin(
    _ tensor: CheckpointTensor, elementSize size: Int, rows: Int, columns: Int, _ rowStride: Int, _ columnStride: Int
  ) throws(XverseError) {
    let (rowSpan, rowOverflow) = (rows - 1).multipliedReportingOverflow(by: rowStride)
    let (columnSpan, columnOverflow) = (columns - 1).multipliedReportingOverflow(by: columnStride)
    let (last, sumOverflow) = rowSpan.addingReportingOverflow(columnSpan)
    guard rowStride >= 0, columnStride >= 0, !rowOverflow, !columnOverflow, !sumOverflow,
      last < tensor.byteCount / size
    else {
      throw .corrupt(
        "\(tensor.fileName): tensor '\(tensor.name.inMessage)' has \(tensor.byteCount) bytes, expected more "
          + "for shape [\(rows), \(columns)] and strides [\(rowStride), \(columnStride)]")
    }
  }
}

extension WeightImporter.RowOrder {
  /// Where row `row` of `rows` stands.
  package func storedRow(of row: Int, in rows: Int) -> Int {
    guard case .rotaryPairs(let heads) = self else { return row }
    let headSize = rows / heads
    let (head, index) = row.quotientAndRemainder(dividingBy: headSize)
    let (half, pair) = index.quotientAndRemainder(dividingBy: headSize / 2)
    return head * headSize + pair * 2 + half
  }

  /// Which row stands at `stored` of `rows`.
  package func row(storedAt stored: Int, in rows: Int) -> Int {
    guard case .rotaryPairs(let heads) = self else { return stored }
    let headSize = rows / heads
    let (head, index) = stored.quotientAndRemainder(dividingBy: headSize)
    let (pair, half) = index.quotientAndRemainder(dividingBy: 2)
    return head * headSize + half * (headSize / 2) + pair
  }
}
