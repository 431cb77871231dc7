// ZipFile.swift -- zip archives written byte by byte, the broken ones among them.

/// An archive of stored entries; every field can be made to lie.
package struct ZipFile {
  package struct Entry {
    package var name: [UInt8]
    package var bytes: [UInt8]
    package var method: UInt16 = 0
    /// Bit 0: encrypted; bit 11: the name is UTF-8.
    package var flags: UInt16 = 0x0800
    /// In place of the right check sum.
    package var checksum: UInt32?
    /// In place of the number of bytes.
    package var byteCount: UInt64?
    package var compressedByteCount: UInt64?
    /// In place of where the entry's header stands.
    package var headerBegin: UInt64?
    /// In place of the name, in the local header alone.
    package var localName: [UInt8]?
    /// Whether sizes and offset stand in a zip64 field.
    package var isLarge = false

    package init(_ name: String, _ bytes: [UInt8]) {
      self.name = Array(name.utf8)
      self.bytes = bytes
    }
  }

  package var entries: [Entry]
  /// Whether a zip64 record stands before the end.
  package var isLarge = true
  /// In place of the number of entries.
  package var entryCount: UInt64?
  package var directoryByteCount: UInt64?
  package var directoryBegin: UInt64?
  package var comment: [UInt8] = []
  /// Every entry's bytes begin at a multiple of it, as torch.save has it.
  package var alignment = 64

  package init(_ entries: [Entry] = []) { self.entries = entries }

  package var bytes: [UInt8] {
    var result: [UInt8] = []
    var directory: [UInt8] = []
    for entry in entries {
      directory += directoryEntry(entry, headerBegin: UInt64(result.count))
      result += localHeader(entry, at: result.count) + entry.bytes
    }
    let end = result.count + directory.count
    return result + directory + (isLarge ? largeEnd(at: end, directory.count) : []) + shortEnd(at: end, directory.count)
  }

  private func localHeader(_ entry: Entry, at begin: Int) -> [UInt8] {
    let name = entry.localName ?? entry.name
    // An extra field of padding, which has a header of 4 bytes.
    let padding = -(begin + 30 + name.count + 4) & (alignment - 1)
    return littleEndian(0x0403_4B50 as UInt32) + littleEndian(20 as UInt16) + littleEndian(entry.flags)
      + littleEndian(entry.method) + littleEndian(0 as UInt32) + littleEndian(checksum(of: entry))
      + littleEndian(UInt32(entry.bytes.count)) + littleEndian(UInt32(entry.bytes.count))
      + littleEndian(UInt16(name.count)) + littleEndian(UInt16(padding + 4)) + name
      + Array("FB".utf8) + littleEndian(UInt16(padding)) + [UInt8](repeating: 0x5A, count: padding)
  }

  private func directoryEntry(_ entry: Entry, headerBegin: UInt64) -> [UInt8] {
    let size = entry.byteCount ?? UInt64(entry.bytes.count)
    let numbers = [size, entry.compressedByteCount ?? size, entry.headerBegin ?? headerBegin]
    let short = numbers.map { entry.isLarge ? .max : UInt32(truncatingIfNeeded: $0) }
    let extra =
      entry.isLarge ? littleEndian(1 as UInt16) + littleEndian(24 as UInt16) + numbers.flatMap(littleEndian) : []
    return littleEndian(0x0201_4B50 as UInt32) + littleEndian(0 as UInt32) + littleEndian(entry.flags)
      + littleEndian(entry.method) + littleEndian(0 as UInt32) + littleEndian(checksum(of: entry))
      + littleEndian(short[1]) + littleEndian(short[0]) + littleEndian(UInt16(entry.name.count))
      + littleEndian(UInt16(extra.count)) + littleEndian(0 as UInt16) + littleEndian(0 as UInt64)
      + littleEndian(short[2])
      + entry.name + extra
  }

  private func checksum(of entry: Entry) -> UInt32 { entry.checksum ?? Self.checksum(of: entry.bytes) }

  /// CRC-32, bit by bit.
  package static func checksum(of bytes: [UInt8]) -> UInt32 {
    var rest: UInt32 = ~0
    for byte in bytes {
      rest ^= UInt32(byte)
      for _ in 0..<8 { rest = rest & 1 == 0 ? rest >> 1 : rest >> 1 ^ 0xEDB8_8320 }
    }
    return ~rest
  }

  private func largeEnd(at end: Int, _ count: Int) -> [UInt8] {
    let entryCount = self.entryCount ?? UInt64(entries.count)
    return littleEndian(0x0606_4B50 as UInt32) + littleEndian(44 as UInt64) + littleEndian(0 as UInt32)
      + littleEndian(0 as UInt64) + littleEndian(entryCount) + littleEndian(entryCount)
      + littleEndian(directoryByteCount ?? UInt64(count)) + littleEndian(directoryBegin ?? UInt64(end - count))
      + littleEndian(0x0706_4B50 as UInt32) + littleEndian(0 as UInt32) + littleEndian(UInt64(end))
      + littleEndian(1 as UInt32)
  }

  private func shortEnd(at end: Int, _ count: Int) -> [UInt8] {
    let entryCount = UInt16(truncatingIfNeeded: min(self.entryCount ?? UInt64(entries.count), 0xFFFF))
    let byteCount = UInt32(min(directoryByteCount ?? UInt64(count), 0xFFFF_FFFF))
    let begin = UInt32(min(directoryBegin ?? UInt64(end - count), 0xFFFF_FFFF))
    return littleEndian(0x0605_4B50 as UInt32) + littleEndian(0 as UInt32) + littleEndian(entryCount)
      + littleEndian(entryCount) + littleEndian(byteCount) + littleEndian(begin)
      + littleEndian(UInt16(comment.count)) + comment
  }
}

func littleEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
