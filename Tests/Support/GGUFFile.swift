// GGUFFile.swift -- GGUF files written byte by byte, well-formed or with any part of them wrong.

/// A GGUF file. Change the properties, then take `bytes`.
package struct GGUFFile {
  /// A value with its type's number; the bytes are the value's own, which need not fit the type.
  package struct Value {
    package var type: UInt32
    package var bytes: [UInt8]

    package init(type: UInt32, bytes: [UInt8]) {
      self.type = type
      self.bytes = bytes
    }

    package static func uint8(_ value: UInt8) -> Value { Value(type: 0, bytes: [value]) }
    package static func int8(_ value: Int8) -> Value { Value(type: 1, bytes: [UInt8(bitPattern: value)]) }
    package static func uint16(_ value: UInt16) -> Value { Value(type: 2, bytes: little(value)) }
    package static func int16(_ value: Int16) -> Value { Value(type: 3, bytes: little(value)) }
    package static func uint32(_ value: UInt32) -> Value { Value(type: 4, bytes: little(value)) }
    package static func int32(_ value: Int32) -> Value { Value(type: 5, bytes: little(value)) }
    package static func float32(_ value: Float) -> Value { Value(type: 6, bytes: little(value.bitPattern)) }
    package static func bool(_ value: Bool) -> Value { Value(type: 7, bytes: [value ? 1 : 0]) }
    package static func string(_ text: String) -> Value { Value(type: 8, bytes: counted(Array(text.utf8))) }
    package static func uint64(_ value: UInt64) -> Value { Value(type: 10, bytes: little(value)) }
    package static func int64(_ value: Int64) -> Value { Value(type: 11, bytes: little(value)) }
    package static func float64(_ value: Double) -> Value { Value(type: 12, bytes: little(value.bitPattern)) }

    /// - Parameter count: What the array says of its length; nil for what is so.
    package static func array(of type: UInt32, _ elements: [Value], count: UInt64? = nil) -> Value {
      Value(
        type: 9, bytes: little(type) + little(count ?? UInt64(elements.count)) + elements.flatMap(\.bytes))
    }

    package static func strings(_ texts: [String]) -> Value { array(of: 8, texts.map { string($0) }) }
  }

  package struct Tensor {
    package var name: [UInt8]
    /// The innermost first.
    package var dimensions: [UInt64]
    package var type: UInt32
    package var data: [UInt8]
    /// What the file says in place of what is so.
    package var nameLength: UInt64?
    package var rank: UInt32?
    package var offset: UInt64?

    package init(_ name: String, _ dimensions: [UInt64], type: UInt32 = 0, data: [UInt8]) {
      self.name = Array(name.utf8)
      self.dimensions = dimensions
      self.type = type
      self.data = data
    }

    /// A tensor of type F32.
    package init(_ name: String, _ dimensions: [UInt64], values: [Float]) {
      self.init(name, dimensions, data: values.flatMap { little($0.bitPattern) })
    }
  }

  package var magic = Array("GGUF".utf8)
  package var version: UInt32 = 3
  package var pairs: [(key: [UInt8], value: Value)] = []
  package var tensors: [Tensor] = []
  /// What the header says in place of the numbers of `tensors` and `pairs`.
  package var tensorCount: UInt64?
  package var pairCount: UInt64?
  /// To what multiples the data are aligned; `general.alignment` is another matter.
  package var alignment = 32
  /// Bytes behind everything.
  package var rest: [UInt8] = []

  package init() {}

  /// Adds or replaces a value.
  package subscript(key: String) -> Value? {
    get { pairs.first { $0.key == Array(key.utf8) }?.value }
    set {
      pairs.removeAll { $0.key == Array(key.utf8) }
      if let newValue { pairs.append((Array(key.utf8), newValue)) }
    }
  }

  /// Everything before the data, and before the padding in front of it.
  package var header: [UInt8] {
    var bytes = magic + little(version)
    bytes += little(tensorCount ?? UInt64(tensors.count)) + little(pairCount ?? UInt64(pairs.count))
    for (key, value) in pairs { bytes += counted(key) + little(value.type) + value.bytes }
    var end = 0
    for tensor in tensors {
      bytes += little(tensor.nameLength ?? UInt64(tensor.name.count)) + tensor.name
      bytes += little(tensor.rank ?? UInt32(tensor.dimensions.count)) + tensor.dimensions.flatMap { little($0) }
      bytes += little(tensor.type) + little(tensor.offset ?? UInt64(end))
      end = padded(end + tensor.data.count)
    }
    return bytes
  }

  /// The whole file.
  package var bytes: [UInt8] {
    var bytes = header
    if !tensors.isEmpty { pad(&bytes) }
    for tensor in tensors {
      bytes += tensor.data
      pad(&bytes)
    }
    return bytes + rest
  }

  private func padded(_ length: Int) -> Int { (length + alignment - 1) / alignment * alignment }

  private func pad(_ bytes: inout [UInt8]) {
    bytes += [UInt8](repeating: 0, count: padded(bytes.count) - bytes.count)
  }
}

private func little<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

private func counted(_ bytes: [UInt8]) -> [UInt8] { little(UInt64(bytes.count)) + bytes }
