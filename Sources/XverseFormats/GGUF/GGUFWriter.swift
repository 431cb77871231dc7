// GGUFWriter.swift -- a GGUF file of version 3 (ggml, docs/gguf.md): metadata, descriptions of the tensors, and their data as
// they are made.

import XverseCore
import XverseTensors

/// A value to write.
package enum GGUFOutputValue {
  case uint32(UInt32)
  case float32(Float)
  case bool(Bool)
  case string(String)
  case texts(count: Int, (_ index: Int) -> UnsafeRawBufferPointer)
  case floats(count: Int, (_ index: Int) -> Float)
  case int32s(count: Int, (_ index: Int) -> Int32)
  /// As it stands in another file: the number of its type, and its bytes.
  case copy(GGUFValue)
}

/// The description of a tensor to write.
package struct GGUFOutputTensor {
  package let name: String
  package let type: GGMLType
  /// `[rows, columns]`, or `[columns]`.
  package let shape: [Int]

  package init(name: String, type: GGMLType, shape: [Int]) {
    self.name = name
    self.type = type
    self.shape = shape
  }

  /// Bytes of the data; the last dimension is a multiple of the type's block.
  package var byteCount: Int { shape.dropLast().reduce(type.rowBytes(columns: shape.last ?? 1), *) }
}

/// Writes one file.
package struct GGUFWriter {
  private static let alignment = 32

  private let file: ReplacementFile
  /// Bytes of the tensor that is being written, so far.
  private var written = 0

  /// Writes the header.
  ///
  /// - Throws: `io`, `outOfMemory`.
  package init(
    to file: ReplacementFile, metadata: [(key: String, value: GGUFOutputValue)], tensors: [GGUFOutputTensor],
    allocator: MemoryAllocator
  ) throws(XverseError) {
    let header = try Self.header(of: metadata, tensors, allocator: allocator)
    self.file = file
    try file.write(UnsafeRawBufferPointer(header.elements))
  }

  /// Everything before the data: without tensors a whole file.
  package static func header(
    of metadata: [(key: String, value: GGUFOutputValue)], _ tensors: [GGUFOutputTensor], allocator: MemoryAllocator
  ) throws(XverseError) -> Buffer<UInt8> {
    var header = Header(bytes: Buffer(allocator: allocator))
    try header.append(metadata, tensors)
    return header.finish()
  }

  /// Appends data of the tensor that is being written.
  package mutating func write(_ bytes: UnsafeRawBufferPointer) throws(XverseError) {
    try file.write(bytes)
    written += bytes.count
  }

  /// Ends a tensor.
  package mutating func endTensor() throws(XverseError) {
    let count = Self.padded(written) - written
    try withUnsafeBytes(of: SIMD32<UInt8>()) { (zeros) throws(XverseError) in
      try file.write(UnsafeRawBufferPointer(rebasing: zeros[..<count]))
    }
    written = 0
  }

  /// Waits until the disk has everything, and gives the file its name.
  package func finish() throws(XverseError) { try file.publish() }

  private static func padded(_ length: Int) -> Int { (length + alignment - 1) / alignment * alignment }

  /// Everything before the data.
  private struct Header: ~Copyable {
    var bytes: Buffer<UInt8>

    consuming func finish() -> Buffer<UInt8> { bytes }

    fileprivate mutating func append(
      _ metadata: [(key: String, value: GGUFOutputValue)], _ tensors: [GGUFOutputTensor]
    ) throws(XverseError) {
      try append(utf8: "GGUF")
      try append(UInt32(3))
      try append(UInt64(tensors.count))
      try append(UInt64(metadata.count))
      for (key, value) in metadata {
        try append(text: key)
        try append(value)
      }
      var offset = 0
      for tensor in tensors {
        try append(text: tensor.name)
        try append(UInt32(tensor.shape.count))
        for dimension in tensor.shape.reversed() { try append(UInt64(dimension)) }
        try append(tensor.type.rawValue)
        try append(UInt64(offset))
        offset += GGUFWriter.padded(tensor.byteCount)
      }
      while bytes.count % GGUFWriter.alignment != 0 { try bytes.append(0) }
    }

    private mutating func append(_ value: GGUFOutputValue) throws(XverseError) {
      switch value {
      case .uint32(let number): try append(.uint32, number)
      case .float32(let number): try append(.float32, number.bitPattern)
      case .bool(let isTrue): try append(.bool, UInt8(isTrue ? 1 : 0))
      case .string(let text):
        try append(GGUFValueType.string.rawValue)
        try append(text: text)
      case .texts(let count, let text):
        try append(arrayOf: .string, count)
        for index in 0..<count {
          let text = text(index)
          try append(UInt64(text.count))
          try bytes.append(bytes: text)
        }
      case .floats(let count, let number):
        try append(arrayOf: .float32, count)
        for index in 0..<count { try append(number(index).bitPattern) }
      case .int32s(let count, let number):
        try append(arrayOf: .int32, count)
        for index in 0..<count { try append(number(index)) }
      case .copy(let value): try value.append(to: &bytes)
      }
    }

    private mutating func append<Integer: FixedWidthInteger>(
      _ type: GGUFValueType, _ number: Integer
    ) throws(XverseError) {
      try append(type.rawValue)
      try append(number)
    }

    private mutating func append(arrayOf type: GGUFValueType, _ count: Int) throws(XverseError) {
      try append(GGUFValueType.array.rawValue)
      try append(type.rawValue)
      try append(UInt64(count))
    }

    private mutating func append(text: String) throws(XverseError) {
      try append(UInt64(text.utf8.count))
      try append(utf8: text)
    }

    private mutating func append(utf8 text: String) throws(XverseError) { try bytes.append(utf8: text) }

    private mutating func append<Integer: FixedWidthInteger>(_ number: Integer) throws(XverseError) {
      try bytes.append(number: number)
    }
  }
}

extension Buffer where Element == UInt8 {
  /// Appends the bytes of a number, the least significant first.
  mutating func append<Integer: FixedWidthInteger>(number: Integer) throws(XverseError) {
    try withUnsafeBytes(of: number.littleEndian) { (bytes) throws(XverseError) in try append(bytes: bytes) }
  }
}
