// SessionFileHeader.swift -- the first 512 bytes of a session's file: what it holds, whose it is, and the checksums of all
// the rest. Numbers are little-endian and take 8 bytes each.

import XverseCore
import XverseModels
import XverseTensors

/// What stands in the header. Behind it follow, each from a multiple of 64 bytes on and filled up with zeros: the tokens,
/// i32; the note; the logits after the last token, f32 `[vocabularySize]`, if there are any; the blocks of keys and values
/// as `KVLayout` has them, positions without a token being zeros.
struct SessionFileHeader: Equatable {
  static let byteCount = 512
  static let magic: [UInt8] = [0x8F] + Array("XVSES".utf8) + [0x0D, 0x0A]
  static let version: UInt64 = 1
  /// Read on a machine of the other byte order it is another number.
  private static let byteOrder: UInt64 = 0x0102_0304_0506_0708
  private static let checksumOffset = byteCount - 8
  private static let textOffset = 192
  static let alignment = 64

  var fingerprint: UInt64
  /// The model in words, for messages.
  var modelText: String
  var layout: KVLayout
  var vocabularySize: Int
  var tokenCount: Int
  var noteLength: Int
  var hasLogits: Bool
  /// Of the sections as they stand in the file.
  var tokensChecksum: UInt64 = 0
  var noteChecksum: UInt64 = 0
  var logitsChecksum: UInt64 = 0
  var blocksChecksum: UInt64 = 0

  init(
    fingerprint: UInt64, modelText: String, layout: KVLayout, vocabularySize: Int, tokenCount: Int, noteLength: Int,
    hasLogits: Bool
  ) {
    self.fingerprint = fingerprint
    self.modelText = modelText
    self.layout = layout
    self.vocabularySize = vocabularySize
    self.tokenCount = tokenCount
    self.noteLength = noteLength
    self.hasLogits = hasLogits
  }

  // MARK: sections

  /// Where the sections stand, in bytes; nil when they would pass Int.
  struct Sections {
    let tokens, note, logits, blocks: Range<Int>
    var fileLength: Int { blocks.upperBound }
  }

  var sections: Sections? {
    var end = Self.byteCount
    func next(_ count: Int, _ size: Int) -> Range<Int>? {
      let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow, bytes >= 0, bytes <= Int.max - Self.alignment - end else { return nil }
      let begin = end
      end = begin + (bytes + Self.alignment - 1) / Self.alignment * Self.alignment
      return begin..<end
    }
    guard tokenCount <= Int.max - KVLayout.positionsPerBlock,
      let tokens = next(tokenCount, MemoryLayout<Int32>.size), let note = next(noteLength, 1),
      let logits = next(hasLogits ? vocabularySize : 0, MemoryLayout<Float>.size),
      let blocks = next(blockCount, layout.bytesPerBlock)
    else { return nil }
    return Sections(tokens: tokens, note: note, logits: logits, blocks: blocks)
  }

  /// Zeros that fill up a section of `count` bytes.
  static func padding(behind count: Int) -> Int { (alignment - count % alignment) % alignment }

  /// The checksum of a section, with what fills it up.
  static func checksum(_ section: UnsafeRawBufferPointer) -> UInt64 {
    withUnsafeTemporaryAllocation(byteCount: alignment, alignment: 8) { zeros in
      zeros.initializeMemory(as: UInt8.self, repeating: 0)
      let padding = UnsafeRawBufferPointer(rebasing: zeros.prefix(padding(behind: section.count)))
      return Checksum.of(padding, seed: Checksum.of(section))
    }
  }

  var blockCount: Int { layout.blockCount(positions: tokenCount) }

  // MARK: bytes

  /// What the words of the header are, one behind the other.
  private static let names = [
    "magic", "version", "byte order", "file length", "fingerprint", "element", "layers", "KV heads", "head size",
    "vocabulary size", "tokens", "note length", "logits", "checksum of the tokens", "checksum of the note",
    "checksum of the logits", "checksum of the blocks",
  ]

  private var words: [UInt64] {
    let element = KVElement.allCases.firstIndex(of: layout.element) ?? 0
    let sizes = [
      element, layout.layerCount, layout.kvHeadCount, layout.headSize, vocabularySize, tokenCount, noteLength,
      hasLogits ? 1 : 0,
    ]
    let magic = Self.magic.reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    let fileLength = UInt64(sections?.fileLength ?? 0)
    return [magic, Self.version, UInt64(littleEndian: Self.byteOrder), fileLength, fingerprint]
      + sizes.map { UInt64($0) } + [tokensChecksum, noteChecksum, logitsChecksum, blocksChecksum]
  }

  var bytes: [UInt8] {
    var result = words.flatMap { withUnsafeBytes(of: $0.littleEndian, Array.init) }
    result += [UInt8](repeating: 0, count: Self.textOffset - result.count)
    result += modelText.utf8.prefix(Self.checksumOffset - Self.textOffset)
    result += [UInt8](repeating: 0, count: Self.checksumOffset - result.count)
    return result + withUnsafeBytes(of: result.withUnsafeBytes { Checksum.of($0) }.littleEndian, Array.init)
  }

  /// Reads a header; of what it says, only that is checked which needs nothing else.
  ///
  /// - Parameters:
  ///   - bytes: `byteCount` of them.
  ///   - name: The file's, for messages.
  /// - Throws: `corrupt`, `unsupported`.
  init(_ bytes: UnsafeRawBufferPointer, name: String) throws(XverseError) {
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard bytes.count == Self.byteCount, bytes.prefix(Self.magic.count).elementsEqual(Self.magic) else {
      throw .corrupt("\(name): the file is no saved session", offset: 0)
    }
    let sum = Checksum.of(UnsafeRawBufferPointer(rebasing: bytes[..<Self.checksumOffset]))
    guard word(Self.checksumOffset) == sum else {
      throw .corrupt("\(name): the header has another checksum than it says: the file was damaged", offset: 0)
    }
    guard word(8) == Self.version else {
      throw .unsupported("\(name): the file has version \(word(8)), expected \(Self.version)")
    }
    guard word(16) == UInt64(littleEndian: Self.byteOrder) else {
      throw .unsupported("\(name): the file was written on a machine of another byte order")
    }
    func number(_ index: Int, _ range: ClosedRange<Int>) throws(XverseError) -> Int {
      let found = word(8 * index)
      guard let value = Int(exactly: found), range.contains(value) else {
        let bounds = "\(range.lowerBound) to \(range.upperBound)"
        throw .corrupt(
          "\(name): '\(Self.names[index])' of the header is \(found), expected \(bounds)", offset: 8 * index)
      }
      return value
    }
    fingerprint = word(32)
    let element = KVElement.allCases[try number(5, 0...KVElement.allCases.count - 1)]
    layout = KVLayout(
      element: element, layerCount: try number(6, 1...1 << 16), kvHeadCount: try number(7, 1...1 << 16),
      headSize: try number(8, 1...KVLayout.maximumHeadSize))
    vocabularySize = try number(9, 1...Int(Int32.max))
    tokenCount = try number(10, 0...Int(Int32.max))
    noteLength = try number(11, 0...Session.maximumNoteLength)
    hasLogits = try number(12, 0...(tokenCount > 0 ? 1 : 0)) == 1
    tokensChecksum = word(104)
    noteChecksum = word(112)
    logitsChecksum = word(120)
    blocksChecksum = word(128)
    let text = bytes[Self.textOffset..<Self.checksumOffset].prefix { $0 != 0 }
    modelText = String(decoding: text, as: UTF8.self)
    guard let length = sections?.fileLength, word(24) == UInt64(length) else {
      throw .corrupt("\(name): the header says that the file has \(word(24)) bytes, its parts take others", offset: 24)
    }
  }
}
