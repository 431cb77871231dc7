// GGUFHeaderBytes.swift -- the bytes of a GGUF header, which tells its length nowhere: read from the file in growing parts,
// as far as what is read asks for more.

import XverseCore

/// A part of a header, for messages: "the length of text 3 of 'general.tags'".
struct GGUFPart {
  private let words: StaticString
  private let index: Int?
  /// The place of the key or tensor that it is a part of.
  private let owner: Range<Int>?

  init(_ words: StaticString, _ index: Int? = nil, of owner: Range<Int>? = nil) {
    self.words = words
    self.index = index
    self.owner = owner
  }

  func description(in bytes: borrowing GGUFHeaderBytes) -> String {
    let number = index.map { " \($0)" } ?? ""
    guard let owner else { return "\(words)\(number)" }
    return "\(words)\(number) of '\(bytes.name(at: owner))'"
  }
}

/// The beginning of one file, read from front to back.
///
/// Memory: at most three times the header, or 3 MB.
struct GGUFHeaderBytes: ~Copyable {
  /// Longest header that is read: several times that of a vocabulary of a million tokens.
  static let maximumLength = 256 << 20
  private static let firstLength = 1 << 20

  private let file: InputFile
  private let allocator: MemoryAllocator
  private var bytes: Buffer<UInt8>
  /// Where the next read begins.
  private(set) var position = 0

  init(of file: consuming InputFile, allocator: MemoryAllocator) throws(XverseError) {
    bytes = Buffer(allocator: allocator)
    self.allocator = allocator
    self.file = file
  }

  var fileName: String { file.name }
  var fileLength: Int { file.length }

  /// Ends the reading: all bytes read so far, for views into them.
  consuming func finish() -> Buffer<UInt8> { bytes }

  /// Moves past the next `count` bytes and returns their place.
  ///
  /// - Parameter what: What they are, for the message.
  /// - Throws: `corrupt` when the file ends before, `limit` for a header that is too long.
  mutating func take(_ count: Int, _ what: GGUFPart) throws(XverseError) -> Int {
    let (end, overflow) = position.addingReportingOverflow(count)
    guard count >= 0, !overflow, end <= file.length else {
      throw .corrupt(
        "\(file.name): \(what.description(in: self)) needs \(count) bytes at byte \(position), but the file has \(file.length) bytes",
        offset: position)
    }
    if end > bytes.count { try load(upTo: end) }
    defer { position = end }
    return position
  }

  /// Reads the next number.
  mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
    _ type: Integer.Type, _ what: GGUFPart
  ) throws(XverseError) -> Integer {
    let start = try take(MemoryLayout<Integer>.size, what)
    var reader = ByteReader(try slice(start, MemoryLayout<Integer>.size), source: file.name)
    return try reader.readInteger(Integer.self, "a number")
  }

  /// Reads the length of something, which must fit in the rest of the file at `size` bytes a piece.
  mutating func count(_ what: GGUFPart, of size: Int) throws(XverseError) -> Int {
    let start = position
    let number = try integer(UInt64.self, what)
    let most = (file.length - position) / size
    guard let count = Int(exactly: number), count <= most else {
      throw .corrupt(
        "\(file.name): \(what.description(in: self)) is \(number), expected at most \(most) in a file of \(file.length) bytes",
        offset: start)
    }
    return count
  }

  /// The text at a place that `take` has moved past.
  func name(at place: Range<Int>) -> String {
    guard let name = try? slice(place.lowerBound, place.count) else { return "" }
    return String(decoding: name, as: UTF8.self).inMessage
  }

  /// The bytes that `take` has moved past; valid until the next read.
  func slice(_ start: Int, _ count: Int) throws(XverseError) -> UnsafeRawBufferPointer {
    try ByteReader(UnsafeRawBufferPointer(bytes.elements), source: file.name).slice(
      at: start, count: count, "the header")
  }

  private mutating func load(upTo end: Int) throws(XverseError) {
    guard end <= Self.maximumLength else {
      throw .limit("\(file.name): the header passes byte \(end), expected at most \(Self.maximumLength) bytes")
    }
    let (loaded, length) = (bytes.count, min(max(end, 2 * bytes.count, Self.firstLength), file.length))
    let grown = try Buffer<UInt8>(repeating: 0, count: length, allocator: allocator)
    UnsafeMutableRawBufferPointer(grown.mutableElements).copyMemory(from: UnsafeRawBufferPointer(bytes.elements))
    let rest = UnsafeMutableRawBufferPointer(grown.mutableElements)[loaded...]
    try file.read(into: UnsafeMutableRawBufferPointer(rebasing: rest), at: loaded)
    bytes = grown
  }
}
