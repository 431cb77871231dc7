// ZipEntryFields.swift -- one entry of a zip archive's central directory as it is written (PKWARE APPNOTE 6.3.10, 4.3.12
// and 4.5.3).

import XverseCore

/// The fields that matter, with those of the zip64 extra field in their places.
struct ZipEntryFields {
  /// The method of entries that are not compressed.
  static let stored: UInt16 = 0
  private static let zip64Identifier: UInt16 = 1

  let signature: UInt32
  private let flags: UInt16
  private let method: UInt16
  let checksum: UInt32
  private let compressedByteCount: Int
  let byteCount: Int
  /// Where the name stands in the directory.
  let nameStart: Int
  let nameLength: Int
  let headerBegin: Int

  /// Reads an entry and moves behind it.
  ///
  /// - Parameter source: The directory in messages.
  init(_ reader: inout ByteReader, source: String) throws(XverseError) {
    signature = try reader.readInteger(UInt32.self, "an entry")
    _ = try reader.readBytes(4, "versions")
    flags = try reader.readInteger(UInt16.self, "flags")
    method = try reader.readInteger(UInt16.self, "a method")
    _ = try reader.readBytes(4, "a time")
    checksum = try reader.readInteger(UInt32.self, "a check sum")
    let compressed = try reader.readInteger(UInt32.self, "a size")
    let size = try reader.readInteger(UInt32.self, "a size")
    nameLength = Int(try reader.readInteger(UInt16.self, "a length"))
    let extraLength = Int(try reader.readInteger(UInt16.self, "a length"))
    let commentLength = Int(try reader.readInteger(UInt16.self, "a length"))
    _ = try reader.readBytes(8, "a disk and attributes")
    let offset = try reader.readInteger(UInt32.self, "an offset")
    nameStart = reader.position
    _ = try reader.readBytes(nameLength, "a name")
    let extra = try reader.readBytes(extraLength, "extra fields")
    _ = try reader.readBytes(commentLength, "a comment")
    var large = try Self.zip64Field(of: ByteReader(extra, source: source), length: extraLength, source)
    byteCount = try Self.value(size, &large, source)
    compressedByteCount = try Self.value(compressed, &large, source)
    headerBegin = try Self.value(offset, &large, source)
  }

  /// - Parameter name: The entry in messages.
  func check(_ name: @autoclosure () -> String, offset: Int) throws(XverseError) {
    guard flags & 1 == 0 else { throw .unsupported("\(name()) of the zip archive is encrypted, expected a plain one") }
    guard method == Self.stored else {
      throw .unsupported(
        "\(name()) of the zip archive is compressed by \(methodName), expected it stored as torch.save does")
    }
    guard compressedByteCount == byteCount else {
      throw .corrupt(
        "\(name()) is stored in \(compressedByteCount) bytes, expected its \(byteCount): it is not compressed",
        offset: offset)
    }
  }

  private var methodName: String {
    switch method {
    case 8: "deflate"
    case 9: "deflate64"
    case 12: "bzip2"
    case 14: "LZMA"
    case 93: "zstd"
    case 95: "xz"
    default: "method \(method)"
    }
  }

  /// The contents of the zip64 field; nil when there is none.
  private static func zip64Field(
    of reader: ByteReader, length: Int, _ source: String
  ) throws(XverseError) -> ByteReader? {
    var reader = reader
    while reader.position < length {
      let identifier = try reader.readInteger(UInt16.self, "an extra field")
      let count = try reader.readInteger(UInt16.self, "an extra field")
      let content = try reader.readBytes(Int(count), "an extra field")
      if identifier == zip64Identifier { return ByteReader(content, source: source) }
    }
    return nil
  }

  /// `short`, or the next number of the zip64 field if it stands there.
  private static func value(
    _ short: UInt32, _ large: inout ByteReader?, _ source: String
  ) throws(XverseError) -> Int {
    guard short == .max, var reader = large else { return Int(short) }
    let number = try reader.readInteger(UInt64.self, "a zip64 field")
    large = reader
    guard let value = Int(exactly: number) else {
      throw .corrupt("\(source): a size or offset is \(number), which no file has")
    }
    return value
  }
}
