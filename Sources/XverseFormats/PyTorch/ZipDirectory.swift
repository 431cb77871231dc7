// ZipDirectory.swift -- where the central directory of a zip archive lies: told by the records at the archive's end
// (PKWARE APPNOTE 6.3.10, 4.3.14 to 4.3.16).

import XverseCore

/// Place and size of a central directory.
struct ZipDirectory {
  private static let endSignature: UInt32 = 0x0605_4B50
  private static let locatorSignature: UInt32 = 0x0706_4B50
  private static let recordSignature: UInt32 = 0x0606_4B50
  private static let endLength = 22
  private static let locatorLength = 20
  private static let recordLength = 56

  let begin: Int
  let byteCount: Int
  let entryCount: Int

  /// Reads the end of `file`. An archive that ends with a comment is not taken for one: none that holds weights does, and
  /// where a comment may stand, a second end could.
  ///
  /// - Throws: `corrupt`, `io`.
  init(of file: borrowing InputFile) throws(XverseError) {
    guard file.length >= Self.endLength else { throw Self.missingEnd(of: file) }
    let end = file.length - Self.endLength
    let fields = try Self.read(file, at: end, Self.endLength) { (reader) throws(XverseError) in
      try EndFields(&reader)
    }
    guard fields.signature == Self.endSignature, fields.commentLength == 0 else { throw Self.missingEnd(of: file) }
    guard let large = try Self.largeFields(of: file, before: end) else {
      (begin, byteCount, entryCount) = (Int(fields.begin), Int(fields.byteCount), Int(fields.entryCount))
      try check(end: end, in: file, fields.isOneDisk)
      return
    }
    // What fits into the short record must stand there as well, or the archive means two things.
    guard fields.entryCount == .max || UInt64(fields.entryCount) == large.entryCount,
      fields.byteCount == .max || UInt64(fields.byteCount) == large.byteCount,
      fields.begin == .max || UInt64(fields.begin) == large.begin
    else { throw .corrupt("\(file.name): the two end records of the zip archive disagree", offset: end) }
    guard let begin = Int(exactly: large.begin), let byteCount = Int(exactly: large.byteCount),
      let entryCount = Int(exactly: large.entryCount)
    else { throw .corrupt("\(file.name): the end record of the zip archive names sizes beyond any file", offset: end) }
    (self.begin, self.byteCount, self.entryCount) = (begin, byteCount, entryCount)
    try check(end: large.position, in: file, fields.isOneDisk && large.isOneDisk)
  }

  /// The directory must lie right before the records of the end, `end` being the first of them.
  private func check(end: Int, in file: borrowing InputFile, _ isOneDisk: Bool) throws(XverseError) {
    guard isOneDisk else {
      throw .unsupported("\(file.name): the zip archive is one of several parts, expected a whole one")
    }
    let (sum, overflow) = begin.addingReportingOverflow(byteCount)
    guard !overflow, sum == end else {
      throw .corrupt(
        "\(file.name): the directory of the zip archive has \(byteCount) bytes at byte \(begin), expected it to end at byte "
          + "\(end)", offset: end)
    }
  }

  private static func missingEnd(of file: borrowing InputFile) -> XverseError {
    .corrupt(
      "\(file.name): the last \(endLength) bytes are no end record of a zip archive: the file is truncated",
      offset: max(file.length - endLength, 0))
  }

  /// The zip64 record that a locator before `end` points to; nil when there is no locator.
  private static func largeFields(of file: borrowing InputFile, before end: Int) throws(XverseError) -> LargeFields? {
    guard end >= locatorLength else { return nil }
    let locatorPlace = end - locatorLength
    let locator = try read(file, at: locatorPlace, locatorLength) { (reader) throws(XverseError) in
      let signature = try reader.readInteger(UInt32.self, "a locator")
      let disk = try reader.readInteger(UInt32.self, "a locator")
      let position = try reader.readInteger(UInt64.self, "a locator")
      let diskCount = try reader.readInteger(UInt32.self, "a locator")
      return (signature: signature, position: position, isOneDisk: disk == 0 && diskCount <= 1)
    }
    guard locator.signature == locatorSignature else { return nil }
    guard let position = Int(exactly: locator.position), locatorPlace >= recordLength,
      position <= locatorPlace - recordLength
    else {
      throw .corrupt(
        "\(file.name): the zip64 record is said to lie at byte \(locator.position), expected it before byte \(locatorPlace)",
        offset: locatorPlace)
    }
    let fields = try read(file, at: position, recordLength) { (reader) throws(XverseError) in
      try LargeFields(&reader, position: position, isOneDisk: locator.isOneDisk)
    }
    guard fields.signature == recordSignature, fields.length == UInt64(locatorPlace - position - 12) else {
      throw .corrupt("\(file.name): there is no zip64 record that ends at byte \(locatorPlace)", offset: position)
    }
    return fields
  }

  private static func read<Fields>(
    _ file: borrowing InputFile, at offset: Int, _ count: Int,
    _ body: (inout ByteReader) throws(XverseError) -> Fields
  ) throws(XverseError) -> Fields {
    // The records are all shorter than this.
    var storage: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
    let name = file.name
    return try withUnsafeMutableBytes(of: &storage) { (memory) throws(XverseError) in
      let bytes = UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
      try file.read(into: bytes, at: offset)
      var reader = ByteReader(UnsafeRawBufferPointer(bytes), source: name)
      return try body(&reader)
    }
  }
}

/// The record that ends every archive.
private struct EndFields {
  let signature: UInt32
  let isOneDisk: Bool
  let entryCount: UInt16
  let byteCount: UInt32
  let begin: UInt32
  let commentLength: UInt16

  init(_ reader: inout ByteReader) throws(XverseError) {
    signature = try reader.readInteger(UInt32.self, "a signature")
    let disk = try reader.readInteger(UInt16.self, "a disk")
    let directoryDisk = try reader.readInteger(UInt16.self, "a disk")
    let entriesOfDisk = try reader.readInteger(UInt16.self, "a count")
    entryCount = try reader.readInteger(UInt16.self, "a count")
    byteCount = try reader.readInteger(UInt32.self, "a size")
    begin = try reader.readInteger(UInt32.self, "an offset")
    commentLength = try reader.readInteger(UInt16.self, "a length")
    isOneDisk =
      (disk == 0 || disk == .max) && (directoryDisk == 0 || directoryDisk == .max) && entriesOfDisk == entryCount
  }
}

/// The record of archives whose sizes pass the short one.
private struct LargeFields {
  let position: Int
  let signature: UInt32
  /// Bytes after this field.
  let length: UInt64
  let isOneDisk: Bool
  let entryCount: UInt64
  let byteCount: UInt64
  let begin: UInt64

  init(_ reader: inout ByteReader, position: Int, isOneDisk: Bool) throws(XverseError) {
    self.position = position
    signature = try reader.readInteger(UInt32.self, "a signature")
    length = try reader.readInteger(UInt64.self, "a length")
    _ = try reader.readInteger(UInt32.self, "versions")
    let disk = try reader.readInteger(UInt32.self, "a disk")
    let directoryDisk = try reader.readInteger(UInt32.self, "a disk")
    let entriesOfDisk = try reader.readInteger(UInt64.self, "a count")
    entryCount = try reader.readInteger(UInt64.self, "a count")
    byteCount = try reader.readInteger(UInt64.self, "a size")
    begin = try reader.readInteger(UInt64.self, "an offset")
    self.isOneDisk = isOneDisk && disk == 0 && directoryDisk == 0 && entriesOfDisk == entryCount
  }
}
