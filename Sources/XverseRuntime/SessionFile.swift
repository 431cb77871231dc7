// SessionFile.swift -- the reader of saved sessions. Nothing of a file is used before its checksum is right, and nothing
// is allocated that the file is too short to fill.

import XverseCore
import XverseFormats
import XverseModels
import XverseTensors

/// An open file of a session.
struct SessionFile: ~Copyable {
  let header: SessionFileHeader
  var name: String { file.name }

  private let file: InputFile
  private let sections: SessionFileHeader.Sections

  /// Opens a file and reads its header.
  ///
  /// - Throws: As `InputFile`; `corrupt` and `unsupported` for its header.
  init(path: some PathName) throws(XverseError) {
    let file = try InputFile(path: path)
    guard file.length >= SessionFileHeader.byteCount else {
      throw .corrupt(
        "\(file.name): the file has \(file.length) bytes, expected a header of \(SessionFileHeader.byteCount)")
    }
    let bytes = try Buffer<UInt8>(repeating: 0, count: SessionFileHeader.byteCount)
    try file.read(into: UnsafeMutableRawBufferPointer(bytes.mutableElements), at: 0)
    let header = try SessionFileHeader(UnsafeRawBufferPointer(bytes.elements), name: file.name)
    guard let sections = header.sections else { throw .corrupt("\(file.name): its parts are larger than any file") }
    self.header = header
    self.sections = sections
    self.file = file
  }

  /// - Throws: `corrupt` when the file is not as long as the header says.
  func requireLength() throws(XverseError) {
    guard file.length == sections.fileLength else {
      throw .corrupt(
        "\(name): the file has \(file.length) bytes, its header says \(sections.fileLength)",
        offset: min(file.length, sections.fileLength))
    }
  }

  func tokens(_ allocator: MemoryAllocator) throws(XverseError) -> Buffer<Int32> {
    let tokens = try read(
      sections.tokens, header.tokenCount, of: 0 as Int32, "tokens", header.tokensChecksum, allocator)
    for (index, token) in tokens.elements.enumerated() where token < 0 || Int(token) >= header.vocabularySize {
      throw .corrupt(
        "\(name): token \(index) is \(token), expected 0 to \(header.vocabularySize - 1)",
        offset: sections.tokens.lowerBound + 4 * index)
    }
    return tokens
  }

  func note(_ allocator: MemoryAllocator) throws(XverseError) -> Buffer<UInt8> {
    try read(sections.note, header.noteLength, of: 0 as UInt8, "note", header.noteChecksum, allocator)
  }

  /// Empty when the file has none.
  func logits(_ allocator: MemoryAllocator) throws(XverseError) -> Buffer<Float> {
    let count = header.hasLogits ? header.vocabularySize : 0
    return try read(sections.logits, count, of: 0 as Float, "logits", header.logitsChecksum, allocator)
  }

  func blocks(from source: any KVBlockSource) throws(XverseError) -> [KVBlock] {
    var blocks: [KVBlock] = []
    var (sum, offset) = (0 as UInt64, sections.blocks.lowerBound)
    for _ in 0..<header.blockCount {
      let block = try KVBlock(header.layout, from: source)
      try file.read(into: UnsafeMutableRawBufferPointer(start: block.base, count: block.byteCount), at: offset)
      sum = Checksum.of(block.bytes, seed: sum)
      offset += block.byteCount
      blocks.append(block)
    }
    try require(sum, header.blocksChecksum, "keys and values", at: sections.blocks.lowerBound)
    return blocks
  }

  /// Reads a section of `count` elements and what fills it up.
  private func read<Element: BitwiseCopyable>(
    _ section: Range<Int>, _ count: Int, of zero: Element, _ what: String, _ checksum: UInt64,
    _ allocator: MemoryAllocator
  ) throws(XverseError) -> Buffer<Element> {
    guard !section.isEmpty else { return Buffer(allocator: allocator) }
    var elements = try Buffer(
      repeating: zero, count: section.count / MemoryLayout<Element>.size, allocator: allocator)
    let bytes = UnsafeMutableRawBufferPointer(elements.mutableElements)
    try file.read(into: bytes, at: section.lowerBound)
    let used = count * MemoryLayout<Element>.size
    let sum = Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[..<used]))
    try require(
      Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[used...]), seed: sum), checksum, what, at: section.lowerBound)
    elements.truncate(to: count)
    return elements
  }

  private func require(
    _ found: UInt64, _ expected: UInt64, _ what: String, at offset: Int
  ) throws(XverseError) {
    guard found == expected else {
      throw .corrupt(
        "\(name): the \(what) do not have the checksum in the header: the file was damaged", offset: offset)
    }
  }
}
