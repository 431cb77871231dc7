// ZipArchive.swift -- the entries of a zip archive and where their bytes lie in the file (PKWARE APPNOTE 6.3.10). Entries
// must be stored as they are: nothing is ever decompressed, so that no archive can be larger than its file.

import Glibc
import XverseCore

/// The directory of an archive, checked as a whole: names, sizes, local headers, no overlap.
struct ZipArchive: ~Copyable {
  struct Entry: BitwiseCopyable {
    fileprivate let nameStart: Int
    fileprivate let nameLength: Int
    fileprivate let headerBegin: Int
    /// Where its bytes begin in the file.
    fileprivate(set) var begin = 0
    let byteCount: Int
    /// The check sum in the directory; 0 when its writer computed none.
    let checksum: UInt32
  }

  /// Most entries: a storage for each tensor and a few notes.
  static let maximumEntryCount = TensorTable.maximumCount + 1000
  static let maximumNameLength = 1024
  private static let maximumDirectoryLength = 64 << 20
  private static let headerSignature: UInt32 = 0x0403_4B50
  private static let headerLength = 30
  private static let entrySignature: UInt32 = 0x0201_4B50

  let fileName: String
  /// In the order of the directory.
  private(set) var entries: Buffer<Entry>
  private var directory: Buffer<UInt8>
  /// Numbers of entries in the order of their names' bytes.
  private var order: Buffer<UInt32>

  /// Reads the directory and the local headers of `file`.
  ///
  /// Memory: the directory and 56 bytes an entry, from `allocator`; no entry's bytes are touched. O(n log n).
  ///
  /// - Throws: `corrupt`; `unsupported` for compressed and encrypted entries; `unsafe` for a name that leaves the
  ///   archive; `limit`, `io`, `outOfMemory`.
  init(of file: borrowing InputFile, allocator: MemoryAllocator) throws(XverseError) {
    fileName = file.name
    directory = Buffer(allocator: allocator)
    entries = Buffer(allocator: allocator)
    order = Buffer(allocator: allocator)
    let place = try ZipDirectory(of: file)
    guard place.byteCount <= Self.maximumDirectoryLength, place.entryCount <= Self.maximumEntryCount else {
      throw .limit(
        "\(file.name): the zip archive has \(place.entryCount) entries in a directory of \(place.byteCount) bytes, expected "
          + "at most \(Self.maximumEntryCount) and \(Self.maximumDirectoryLength)")
    }
    directory = try Buffer(repeating: 0, count: place.byteCount, allocator: allocator)
    try file.read(into: UnsafeMutableRawBufferPointer(directory.mutableElements), at: place.begin)
    try readEntries(place)
    try sortNames()
    try locateData(in: file, before: place.begin, allocator: allocator)
  }

  /// The entry called `name`; nil when there is none. O(log n).
  func entry(named name: [UInt8]) -> Entry? {
    name.withUnsafeBytes { wanted in
      var low = 0
      var high = order.count
      while low < high {
        let middle = low + (high - low) / 2
        let entry = entries[Int(order[middle])]
        let comparison = Self.compare(self.name(of: entry), wanted)
        if comparison == 0 { return entry }
        if comparison < 0 { low = middle + 1 } else { high = middle }
      }
      return nil
    }
  }

  /// The name's bytes, which live as long as the archive.
  func name(of entry: Entry) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
      rebasing: UnsafeRawBufferPointer(directory.elements)[entry.nameStart...].prefix(entry.nameLength))
  }

  private func text(of entry: Entry) -> String { String(decoding: name(of: entry), as: UTF8.self).inMessage }

  // MARK: the central directory

  private mutating func readEntries(_ place: ZipDirectory) throws(XverseError) {
    let bytes = UnsafeRawBufferPointer(directory.elements)
    let source = "\(fileName): the directory of the zip archive"
    var reader = ByteReader(bytes, source: source)
    for _ in 0..<place.entryCount {
      let start = place.begin + reader.position
      let fields = try ZipEntryFields(&reader, source: source)
      guard fields.signature == Self.entrySignature else {
        throw .corrupt("\(fileName): there is no entry of a zip directory at byte \(start)", offset: start)
      }
      let entry = Entry(
        nameStart: fields.nameStart, nameLength: fields.nameLength, headerBegin: fields.headerBegin,
        byteCount: fields.byteCount, checksum: fields.checksum)
      try Self.check(name(of: entry), place: "\(fileName): entry '\(text(of: entry))'", offset: start)
      try fields.check("\(fileName): entry '\(text(of: entry))'", offset: start)
      try entries.append(entry)
    }
    guard reader.position == bytes.count else {
      throw .corrupt(
        "\(fileName): the entries of the zip directory end at byte \(reader.position) of its \(bytes.count)",
        offset: place.begin + reader.position)
    }
  }

  /// Names are compared, never used as paths; one that would lead elsewhere was made to do harm.
  private static func check(
    _ name: UnsafeRawBufferPointer, place: @autoclosure () -> String, offset: Int
  ) throws(XverseError) {
    guard name.count <= maximumNameLength else {
      throw .limit(
        "\(place()) has a name of \(name.count) bytes, expected at most \(maximumNameLength)", offset: offset)
    }
    let separators = [UInt8(ascii: "/"), UInt8(ascii: "\\")]
    let leaves = name.split(omittingEmptySubsequences: false) { separators.contains($0) }
      .contains { $0.elementsEqual("..".utf8) }
    guard let first = name.first, !separators.contains(first), !leaves, !name.contains(0) else {
      throw .unsafe(
        "\(place()) of the zip archive has a name that leaves the archive, expected a plain name", offset: offset)
    }
  }

  private mutating func sortNames() throws(XverseError) {
    for number in 0..<entries.count { try order.append(UInt32(number)) }
    let entries = entries.elements
    let names = UnsafeRawBufferPointer(directory.elements)
    func name(_ number: UInt32) -> UnsafeRawBufferPointer {
      let entry = entries[Int(number)]
      return UnsafeRawBufferPointer(rebasing: names[entry.nameStart...].prefix(entry.nameLength))
    }
    var view = order.mutableElements
    view.sort { Self.compare(name($0), name($1)) < 0 }
    for index in order.elements.indices.dropFirst() where Self.compare(name(order[index - 1]), name(order[index])) == 0
    {
      throw .corrupt("\(fileName): entry '\(text(of: entries[Int(order[index])]))' stands twice in the zip archive")
    }
  }

  /// Negative, zero or positive, as memcmp.
  private static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    if let l = left.baseAddress, let r = right.baseAddress {
      let difference = memcmp(l, r, min(left.count, right.count))
      if difference != 0 { return Int(difference) }
    }
    return left.count - right.count
  }

  // MARK: local headers

  /// Finds the bytes of each entry, which lie behind a header of varying length, and sees to it that none overlap.
  private mutating func locateData(
    in file: borrowing InputFile, before end: Int, allocator: MemoryAllocator
  ) throws(XverseError) {
    var header = try Buffer<UInt8>(
      repeating: 0, count: Self.headerLength + Self.maximumNameLength, allocator: allocator)
    var places = Buffer<UInt32>(allocator: allocator)
    for number in 0..<entries.count { try places.append(UInt32(number)) }
    let begins = entries.elements
    var view = places.mutableElements
    view.sort { begins[Int($0)].headerBegin < begins[Int($1)].headerBegin }
    var free = 0
    for number in places.elements {
      let entry = entries[Int(number)]
      guard entry.headerBegin >= free else {
        throw .corrupt(
          "\(fileName): entry '\(text(of: entry))' begins at byte \(entry.headerBegin), where another one lies, expected at "
            + "least \(free)", offset: entry.headerBegin)
      }
      let begin = try dataBegin(of: entry, in: file, before: end, &header)
      entries[Int(number)].begin = begin
      free = begin + entry.byteCount
    }
  }

  private func dataBegin(
    of entry: Entry, in file: borrowing InputFile, before end: Int, _ memory: inout Buffer<UInt8>
  ) throws(XverseError) -> Int {
    let (begin, length) = (entry.headerBegin, Self.headerLength + entry.nameLength)
    guard begin <= end - length else { throw outside(entry, end) }
    let bytes = UnsafeMutableRawBufferPointer(
      rebasing: UnsafeMutableRawBufferPointer(memory.mutableElements)[..<length])
    try file.read(into: bytes, at: begin)
    var reader = ByteReader(UnsafeRawBufferPointer(bytes), source: "\(fileName): entry '\(text(of: entry))'")
    let signature = try reader.readInteger(UInt32.self, "a signature")
    _ = try reader.readBytes(4, "version and flags")
    let method = try reader.readInteger(UInt16.self, "a method")
    _ = try reader.readBytes(16, "time, check sum and sizes")
    let nameLength = try reader.readInteger(UInt16.self, "a length")
    let extraLength = try reader.readInteger(UInt16.self, "a length")
    guard signature == Self.headerSignature, method == ZipEntryFields.stored, Int(nameLength) == entry.nameLength,
      Self.compare(try reader.readBytes(entry.nameLength, "a name"), name(of: entry)) == 0
    else {
      throw .corrupt(
        "\(fileName): entry '\(text(of: entry))' has another header at byte \(begin) than in the zip directory",
        offset: begin)
    }
    let start = begin + length + Int(extraLength)
    guard start <= end, entry.byteCount <= end - start else { throw outside(entry, end) }
    return start
  }

  private func outside(_ entry: Entry, _ end: Int) -> XverseError {
    .corrupt(
      "\(fileName): entry '\(text(of: entry))' has \(entry.byteCount) bytes behind a header at byte \(entry.headerBegin), "
        + "expected it to end before byte \(end)", offset: entry.headerBegin)
  }
}
