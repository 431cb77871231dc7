// WeightImporter+GPTQ.swift -- GPTQ's codes, scales and zero points into blocks of our own, as they are where they fit.

import XverseCore
import XverseTensors

extension WeightImporter {
  /// Scale and zero point of a group.
  private struct GroupNumbers: BitwiseCopyable {
    let scale: Float
    let zero: Float
  }

  /// Rows that are worked on together: few enough for their codes to stay in a cache, whole panels.
  private static let chunkRows = 128

  /// The weights that `source` holds.
  ///
  /// 4 bits become int4_f16, 8 bits int8, both exactly, where 32 neighbouring inputs share a scale and, for int8, codes
  /// less their zero point fit in a signed byte. Else, as after `desc_act`, they are rounded to int8.
  ///
  /// - Throws: `corrupt` for a scale that is not finite; `outOfMemory`, `cancelled`, `deadline`.
  package func matrix(_ source: GPTQMatrix) throws(XverseError) -> WeightMatrix {
    let isUniform = source.hasUniformGroups(of: DType.groupSize)
    if isPlanning {
      let dtype: DType = isUniform && source.parameters.bits == 4 ? .int4F16 : .int8
      return planned(dtype, rows: source.rows, columns: source.columns)
    }
    defer { countImported(source.byteCount) }
    if isUniform {
      let result = source.parameters.bits == 4 ? try packInt4(source) : try packInt8(source)
      if let result { return result }
    }
    requantizedCount += 1
    return try requantize(source)
  }

  private func packInt4(_ source: GPTQMatrix) throws(XverseError) -> WeightMatrix? {
    var zeros = Buffer<UInt8>(allocator: context.allocator)
    return try pack(source, as: .int4F16) { (rows, codes, scales, place) throws(XverseError) in
      zeros.removeAll()
      for row in rows {
        for group in 0..<DType.groupCount(columns: source.columns) {
          // Eighths of a code.
          try zeros.append(UInt8(8 * source.zero(Int(source.groups[group * DType.groupSize]), row)))
        }
      }
      return context.kernels.pack(
        int4: UnsafeBufferPointer(codes), scales: scales, zeros: zeros.elements, rows: rows.count,
        columns: source.columns, into: place)
    }
  }

  private func packInt8(_ source: GPTQMatrix) throws(XverseError) -> WeightMatrix? {
    try pack(source, as: .int8) { (rows, codes, scales, place) throws(XverseError) in
      for row in 0..<rows.count {
        for group in 0..<DType.groupCount(columns: source.columns) {
          let first = group * DType.groupSize
          let zero = source.zero(Int(source.groups[first]), rows.lowerBound + row)
          for column in first..<min(first + DType.groupSize, source.columns) {
            let index = row * source.columns + column
            guard let level = Int8(exactly: Int(codes[index]) - zero) else { return nil }
            codes[index] = UInt8(bitPattern: level)
          }
        }
      }
      return codes.withMemoryRebound(to: Int8.self) { levels in
        context.kernels.pack(
          int8: UnsafeBufferPointer(levels), scales: scales, rows: rows.count, columns: source.columns, into: place)
      }
    }
  }

  /// - Parameter lay: Lays the codes of some rows out at their place; nil when they do not fit, false for a bad scale.
  private func pack(
    _ source: GPTQMatrix, as dtype: DType,
    _ lay: (
      _ rows: Range<Int>, _ codes: UnsafeMutableBufferPointer<UInt8>, _ scales: UnsafeBufferPointer<UInt16>,
      _ place: UnsafeMutableRawBufferPointer
    ) throws(XverseError) -> Bool?
  ) throws(XverseError) -> WeightMatrix? {
    let columns = source.columns
    let storage = try WeightStorage(
      byteCount: dtype.byteCount(rows: source.rows, columns: columns), allocator: context.allocator)
    let codes = try Buffer<UInt8>(
      repeating: 0, count: min(Self.chunkRows, source.rows) * columns, allocator: context.allocator)
    var scales = Buffer<UInt16>(allocator: context.allocator)
    for first in stride(from: 0, to: source.rows, by: Self.chunkRows) {
      let rows = first..<min(first + Self.chunkRows, source.rows)
      try context.check()
      let part = UnsafeMutableBufferPointer(rebasing: codes.mutableElements[0..<rows.count * columns])
      try context.compute { () throws(XverseError) in source.unpack(rows, into: part, by: context.kernels) }
      scales.removeAll()
      for row in rows {
        for group in 0..<DType.groupCount(columns: columns) {
          try scales.append(source.scale(Int(source.groups[group * DType.groupSize]), row))
        }
      }
      let begin = dtype.byteCount(rows: first, columns: columns)
      let size = dtype.byteCount(rows: rows.count, columns: columns)
      let place = UnsafeMutableRawBufferPointer(rebasing: storage.bytes[begin..<begin + size])
      let isLaid = try context.compute { () throws(XverseError) in try lay(rows, part, scales.elements, place) }
      guard let isLaid else { return nil }
      guard isLaid else { throw source.badScale(rows) }
    }
    keep(storage)
    return WeightMatrix(data: storage.start, dtype: dtype, rows: source.rows, columns: columns)
  }

  private func requantize(_ source: GPTQMatrix) throws(XverseError) -> WeightMatrix {
    let columns = source.columns
    let storage = try storage(.int8, rows: source.rows, columns: columns)
    let arena = ScratchArena(allocator: context.allocator)
    let floats = try arena.matrix(rows: min(Self.chunkRows, source.rows), columns: columns)
    let codes = try Buffer<UInt8>(
      repeating: 0, count: floats.rows * columns, allocator: context.allocator)
    // Of one row: looked up once a group instead of once an element.
    var groups = Buffer<GroupNumbers>(allocator: context.allocator)
    for first in stride(from: 0, to: source.rows, by: Self.chunkRows) {
      let rows = first..<min(first + Self.chunkRows, source.rows)
      try context.check()
      try context.compute { () throws(XverseError) in
        source.unpack(rows, into: codes.mutableElements, by: context.kernels)
      }
      for row in 0..<rows.count {
        groups.removeAll()
        for group in 0..<source.groupCount {
          let scale = Float(Float16(bitPattern: source.scale(group, first + row)))
          try groups.append(GroupNumbers(scale: scale, zero: Float(source.zero(group, first + row))))
        }
        for column in 0..<columns {
          let group = groups[Int(source.groups[column])]
          floats.data[row * columns + column] = group.scale * (Float(codes[row * columns + column]) - group.zero)
        }
      }
      let place = storage.start + DType.int8.byteCount(rows: first, columns: columns)
      let isQuantized = try context.compute { () throws(XverseError) in
        context.kernels.quantize(floats.rows(0..<rows.count), to: .int8, at: place, importance: nil)
      }
      guard isQuantized else { throw source.badScale(rows) }
    }
    return WeightMatrix(data: storage.start, dtype: .int8, rows: source.rows, columns: columns)
  }
}

extension GPTQMatrix {
  fileprivate func badScale(_ rows: Range<Int>) -> XverseError {
    .corrupt(
      "\(fileName): the scales of tensor '\(name.inMessage)' have a value for rows \(rows.lowerBound) to "
        + "\(rows.upperBound - 1) that is not finite or too large, expected finite ones")
  }
}
