// TokenTexts.swift -- every token decoded once at load: decoding and sampling constraints then only copy bytes.

import XverseCore

/// The bytes of the tokens inside a text, by id.
struct TokenTexts: ~Copyable {
  private struct Entry: BitwiseCopyable {
    var start: UInt32
    var count: UInt32
    var isByte: Bool
  }

  private var bytes: Buffer<UInt8>
  private var entries: Buffer<Entry>

  /// - Parameters:
  ///   - literals: Tokens that are not decoded: their text is their spelling.
  ///   - source: The file's name in messages.
  init(
    of vocabulary: borrowing Vocabulary, decoder: Decoder, literals: borrowing IdSet, source: String,
    allocator: MemoryAllocator
  ) throws(XverseError) {
    var bytes = Buffer<UInt8>(allocator: allocator)
    var entries = Buffer<Entry>(allocator: allocator)
    try entries.reserve(vocabulary.idCount)
    var scratch = Decoder.Scratch(allocator: allocator)
    for id in 0..<vocabulary.idCount {
      let start = bytes.count
      var isByte = false
      if let content = vocabulary.spelling(of: Int32(id)) {
        let text =
          literals.contains(Int32(id))
          ? (bytes: content, isByte: false) : try decoder.decode(content, isFirst: false, scratch: &scratch)
        try bytes.append(bytes: text.bytes)
        isByte = text.isByte
      }
      guard let first = UInt32(exactly: start), let count = UInt32(exactly: bytes.count - start) else {
        throw .limit("\(source): the decoded tokens take more than \(UInt32.max) bytes")
      }
      try entries.append(Entry(start: first, count: count, isByte: isByte))
    }
    self.bytes = bytes
    self.entries = entries
  }

  /// The text of a token that is not the first one; empty for an unused id. The id must be in the vocabulary's range.
  subscript(id: Int32) -> UnsafeRawBufferPointer {
    let entry = entries[Int(id)]
    let start = Int(entry.start)
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes.elements)[start..<start + Int(entry.count)])
  }

  /// Whether the token is a byte of byte fallback. The id must be in the vocabulary's range.
  func isByte(_ id: Int32) -> Bool { entries[Int(id)].isByte }
}
