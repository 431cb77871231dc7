// GGUFValue.swift -- one value of a GGUF file's metadata: a checked view of the header's bytes.

import XverseCore

/// What a value is (ggml, docs/gguf.md, "gguf_metadata_value_type").
enum GGUFValueType: UInt32, BitwiseCopyable {
  case uint8 = 0
  case int8
  case uint16
  case int16
  case uint32
  case int32
  case float32
  case bool
  case string
  case array
  case uint64
  case int64
  case float64

  /// Bytes of a number; the least that a string or an array takes.
  var size: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }
}

/// A value of the metadata. It holds the header, so its texts stay where they are as long as it.
package struct GGUFValue {
  /// Where the value stands in the header, and what it is.
  struct Place: BitwiseCopyable {
    let type: GGUFValueType
    /// Of an array, else `type`.
    let elementType: GGUFValueType
    /// Elements of an array, else 1.
    let count: Int
    /// The first byte of the numbers or of the text; for strings in an array, of the first one's length.
    let start: Int
    let byteCount: Int
  }

  private let metadata: GGUFMetadata
  private let place: Place

  init(_ metadata: GGUFMetadata, _ place: Place) {
    self.metadata = metadata
    self.place = place
  }

  /// Its place in the file.
  package var offset: Int { place.start }

  /// The number of elements; nil for what is no array.
  package var count: Int? { place.type == .array ? place.count : nil }

  package var integer: Int? { place.type == .array ? nil : element(0).integer }

  var isUnsigned32: Bool { place.type == .uint32 }

  /// A number, whole or not.
  package var number: Double? { place.type == .array ? nil : element(0).number }

  package var bool: Bool? {
    guard place.type == .bool else { return nil }
    return element(0).bits != 0
  }

  /// The bytes of a text, which may be no UTF-8; valid as long as the value is held.
  package var text: UnsafeRawBufferPointer? { place.type == .string ? bytes : nil }

  package var string: String? { text.map { String(decoding: $0, as: UTF8.self) } }

  /// The value in a message.
  package var description: String {
    switch place.type {
    case .array: "an array of \(place.count) values of type \(place.elementType)"
    case .string: "'\((string ?? "").inMessage)'"
    case .bool: bool == true ? "true" : "false"
    case .float32, .float64: number.map { "\($0)" } ?? ""
    case .uint64: "\(element(0).bits)"
    default: integer.map { "\($0)" } ?? ""
    }
  }

  /// Appends the value as it stands in the file: its type, and what it is.
  func append(to buffer: inout Buffer<UInt8>) throws(XverseError) {
    try buffer.append(number: place.type.rawValue)
    if place.type == .array {
      try buffer.append(number: place.elementType.rawValue)
      try buffer.append(number: UInt64(place.count))
    } else if place.type == .string {
      try buffer.append(number: UInt64(place.byteCount))
    }
    try buffer.append(bytes: bytes)
  }

  // MARK: arrays

  /// Hands over the texts of an array one by one; false for an array of something else.
  package func forEachText(
    _ body: (UnsafeRawBufferPointer) throws(XverseError) -> Void
  ) throws(XverseError) -> Bool {
    guard place.type == .array, place.elementType == .string else { return false }
    var reader = ByteReader(bytes, source: metadata.source)
    for _ in 0..<place.count {
      let length = try reader.readInteger(UInt64.self, "a length")
      try body(try reader.readBytes(Int(clamping: length), "a text"))
    }
    return true
  }

  /// Hands over the whole numbers of an array; false for an array of something else, or of a number beyond Int.
  package func forEachInteger(_ body: (Int) throws(XverseError) -> Void) throws(XverseError) -> Bool {
    guard place.type == .array else { return false }
    for index in 0..<place.count {
      guard let number = element(index).integer else { return false }
      try body(number)
    }
    return true
  }

  /// Hands over the floats of an array; false for an array of something else.
  package func forEachFloat(_ body: (Float) throws(XverseError) -> Void) throws(XverseError) -> Bool {
    guard place.type == .array, place.elementType == .float32 else { return false }
    for index in 0..<place.count { try body(Float(bitPattern: UInt32(truncatingIfNeeded: element(index).bits))) }
    return true
  }

  // MARK: numbers

  private var bytes: UnsafeRawBufferPointer { metadata.bytes(at: place.start, count: place.byteCount) }

  private func element(_ index: Int) -> Element {
    let size = place.elementType.size
    guard place.elementType != .string, place.elementType != .array, (index + 1) * size <= bytes.count else {
      return Element(type: place.elementType, bits: 0)
    }
    let place = bytes.baseAddress.unsafelyUnwrapped + index * size
    let bits: UInt64 =
      switch size {
      case 1: UInt64(place.loadUnaligned(as: UInt8.self))
      case 2: UInt64(UInt16(littleEndian: place.loadUnaligned(as: UInt16.self)))
      case 4: UInt64(UInt32(littleEndian: place.loadUnaligned(as: UInt32.self)))
      default: UInt64(littleEndian: place.loadUnaligned(as: UInt64.self))
      }
    return Element(type: self.place.elementType, bits: bits)
  }

  /// A number by the bits that the file has.
  private struct Element {
    let type: GGUFValueType
    let bits: UInt64

    var integer: Int? {
      switch type {
      case .uint8, .uint16, .uint32: Int(bits)
      case .uint64: Int(exactly: bits)
      case .int8: Int(Int8(truncatingIfNeeded: bits))
      case .int16: Int(Int16(truncatingIfNeeded: bits))
      case .int32: Int(Int32(truncatingIfNeeded: bits))
      case .int64: Int(Int64(truncatingIfNeeded: bits))
      case .float32, .float64, .bool, .string, .array: nil
      }
    }

    var number: Double? {
      switch type {
      case .float32: Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
      case .float64: Double(bitPattern: bits)
      case .uint64: Double(bits)
      default: integer.map(Double.init)
      }
    }
  }
}
