// WeightImporter+GGML.swift -- the block types of GGUF to ours:
//   q8_0, q5_0        int8, exactly
//   q4_0              int4_f16, exactly
//   q4_1, q4_K        int4_f16 with their own codes; the scale rounded to an f16, the zero point to an eighth of a code
//   all others, and matrices of the above with a number that does not fit    widened, then quantized to int8

import XverseCore
import XverseTensors

extension WeightImporter {
  /// Rows of one matrix in a file.
  private struct Rows {
    let type: GGMLType
    let tensor: CheckpointTensor
    let count: Int
    let columns: Int
    let order: RowOrder

    var rowBytes: Int { type.rowBytes(columns: columns) }
  }

  /// Elements that are converted at a time: few enough to stay in a cache of a few MB.
  private static let chunkSize = 1 << 20

  func matrix(
    _ tensor: CheckpointTensor, of type: GGMLType, rows: Int, columns: Int, _ order: RowOrder
  ) throws(XverseError) -> WeightMatrix {
    let source = Rows(type: type, tensor: tensor, count: rows, columns: columns, order: order)
    let (size, overflow) = source.rowBytes.multipliedReportingOverflow(by: rows)
    guard columns.isMultiple(of: type.block.columns), !overflow, size == tensor.byteCount else {
      throw .corrupt(
        "\(tensor.fileName): tensor '\(tensor.name.inMessage)' has \(tensor.byteCount) bytes of \(type.name), "
          + "expected those of shape [\(rows), \(columns)]")
    }
    switch type {
    case .q8_0, .q5_0: if let matrix = try split(source, to: .int8) { return matrix }
    case .q4_0, .q4_1, .q4_K: if let matrix = try split(source, to: .int4F16) { return matrix }
    default: break
    }
    return try requantize(source)
  }

  /// Lays out the codes that the file has as blocks of `dtype`; nil when one of its numbers does not fit.
  private func split(_ source: Rows, to dtype: DType) throws(XverseError) -> WeightMatrix? {
    let storage = try storage(dtype, rows: source.count, columns: source.columns)
    let rowsPerChunk = rowsPerChunk(source, dtype)
    let groups = DType.groupCount(columns: source.columns)
    let parts = CodedRows(
      codes: try scratch(rowsPerChunk * source.columns),
      scales: try scratch(rowsPerChunk * groups * MemoryLayout<UInt16>.size), zeros: try scratch(rowsPerChunk * groups))
    let fits = try forEachChunk(of: source, rowsPerChunk) { (rows, blocks) throws(XverseError) in
      let begin = dtype.byteCount(rows: rows.lowerBound, columns: source.columns)
      let size = dtype.byteCount(rows: rows.count, columns: source.columns)
      let place = UnsafeMutableRawBufferPointer(rebasing: storage.bytes[begin..<begin + size])
      return dtype == .int8
        ? parts.packInt8(blocks, of: source.type, rows.count, source.columns, into: place, context.kernels)
        : parts.packInt4(blocks, of: source.type, rows.count, source.columns, into: place, context.kernels)
    }
    guard fits else {
      release(storage)
      return nil
    }
    return WeightMatrix(data: storage.start, dtype: dtype, rows: source.count, columns: source.columns)
  }

  /// Widens, and quantizes to int8.
  private func requantize(_ source: Rows) throws(XverseError) -> WeightMatrix {
    let dtype = DType.int8
    let storage = try storage(dtype, rows: source.count, columns: source.columns)
    let rowsPerChunk = rowsPerChunk(source, dtype)
    let floats = try scratch(rowsPerChunk * source.columns * MemoryLayout<Float>.size)
    let start = floats.start.bindMemory(to: Float.self, capacity: rowsPerChunk * source.columns)
    let isQuantizable = try forEachChunk(of: source, rowsPerChunk) { (rows, blocks) throws(XverseError) in
      let matrix = Matrix(data: start, rows: rows.count, columns: source.columns)
      context.kernels.widen(blocks, of: source.type, into: matrix)
      return context.kernels.quantize(
        matrix, to: dtype, at: storage.start + dtype.byteCount(rows: rows.lowerBound, columns: source.columns),
        importance: nil)
    }
    requantizedCount += 1
    guard isQuantizable else {
      throw .corrupt(
        "\(source.tensor.fileName): tensor '\(source.tensor.name.inMessage)' has a value that is not finite or beyond "
          + "\(dtype.largestQuantizable)")
    }
    return WeightMatrix(data: storage.start, dtype: dtype, rows: source.count, columns: source.columns)
  }

  // MARK: chunks

  private func rowsPerChunk(_ source: Rows, _ dtype: DType) -> Int {
    min(source.count, max(1, Self.chunkSize / source.columns / dtype.rowsPerPanel) * dtype.rowsPerPanel)
  }

  private func scratch(_ byteCount: Int) throws(XverseError) -> WeightStorage {
    try WeightStorage(byteCount: byteCount, allocator: context.allocator)
  }

  /// Runs `body` on the compute thread for a few rows after the other, which stand in the model's order at `blocks`.
  ///
  /// - Returns: false as soon as `body` does.
  private func forEachChunk(
    of source: Rows, _ rowsPerChunk: Int,
    _ body: (_ rows: Range<Int>, _ blocks: UnsafeRawPointer) throws(XverseError) -> Bool
  ) throws(XverseError) -> Bool {
    let gathered = source.order == .natural ? nil : try scratch(rowsPerChunk * source.rowBytes)
    for row in stride(from: 0, to: source.count, by: rowsPerChunk) {
      try context.check()
      let rows = row..<min(row + rowsPerChunk, source.count)
      let isDone = try context.compute { () throws(XverseError) in
        guard let gathered else { return try body(rows, source.tensor.data + row * source.rowBytes) }
        for row in rows {
          let stored = source.order.storedRow(of: row, in: source.count)
          (gathered.start + (row - rows.lowerBound) * source.rowBytes)
            .copyMemory(from: source.tensor.data + stored * source.rowBytes, byteCount: source.rowBytes)
        }
        return try body(rows, gathered.start)
      }
      guard isDone else { return false }
    }
    return true
  }
}

/// Room for the codes of a few rows on their way from one block type to the other.
private struct CodedRows {
  let codes: WeightStorage
  let scales: WeightStorage
  let zeros: WeightStorage

  func packInt8(
    _ blocks: UnsafeRawPointer, of type: GGMLType, _ rows: Int, _ columns: Int,
    into place: UnsafeMutableRawBufferPointer, _ kernels: Kernels
  ) -> Bool {
    let groups = rows * DType.groupCount(columns: columns)
    let codes = UnsafeMutableBufferPointer(
      start: codes.start.bindMemory(to: Int8.self, capacity: rows * columns), count: rows * columns)
    let scales = UnsafeMutableBufferPointer(
      start: scales.start.bindMemory(to: UInt16.self, capacity: groups), count: groups)
    return kernels.split(blocks, of: type, int8: codes, scales: scales, rows: rows, columns: columns)
      && kernels.pack(
        int8: UnsafeBufferPointer(codes), scales: UnsafeBufferPointer(scales), rows: rows, columns: columns, into: place
      )
  }

  func packInt4(
    _ blocks: UnsafeRawPointer, of type: GGMLType, _ rows: Int, _ columns: Int,
    into place: UnsafeMutableRawBufferPointer, _ kernels: Kernels
  ) -> Bool {
    let groups = rows * DType.groupCount(columns: columns)
    let codes = UnsafeMutableBufferPointer(
      start: codes.start.bindMemory(to: UInt8.self, capacity: rows * columns), count: rows * columns)
    let scales = UnsafeMutableBufferPointer(
      start: scales.start.bindMemory(to: UInt16.self, capacity: groups), count: groups)
    let zeros = UnsafeMutableBufferPointer(
      start: zeros.start.bindMemory(to: UInt8.self, capacity: groups), count: groups)
    return kernels.split(blocks, of: type, int4: codes, scales: scales, zeros: zeros, rows: rows, columns: columns)
      && kernels.pack(
        int4: UnsafeBufferPointer(codes), scales: UnsafeBufferPointer(scales), zeros: UnsafeBufferPointer(zeros),
        rows: rows, columns: columns, into: place)
  }
}
