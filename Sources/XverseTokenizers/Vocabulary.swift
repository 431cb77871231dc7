// Vocabulary.swift -- the tokens of the file by id and by content: three blocks of memory instead of a dictionary of
// strings, so that 100,000 entries load in milliseconds and a refused allocation is an error, not the end of the host.

import Glibc
import XverseCore

/// Tokens of the model and added tokens. Ids may have gaps; a content has one id and an id one content.
struct Vocabulary: ~Copyable {
  private struct Span: BitwiseCopyable {
    var start: UInt32
    var count: UInt32
    /// Of an id that no token has; a token is never empty.
    static let unused = Span(start: 0, count: 0)
  }
  private struct Slot: BitwiseCopyable {
    var id: Int32
    var tag: UInt32
    static let free = Slot(id: -1, tag: 0)
  }

  private var contents: Buffer<UInt8>
  private var spans: Buffer<Span>
  private var slots: Buffer<Slot>
  /// By id, as far as any is set: the normalized content of an added token, where it differs.
  private var normalizedSpans: Buffer<Span>
  /// Added tokens that are special, and those that the model does not know.
  private var specials: IdSet
  private var strangers: IdSet

  /// - Parameter capacity: Most tokens that will be inserted.
  init(capacity: Int, allocator: MemoryAllocator) throws(XverseError) {
    let bits = max(4, Int.bitWidth - (2 * capacity).leadingZeroBitCount)
    let slots = try Buffer(repeating: Slot.free, count: 1 << bits, allocator: allocator)
    self.slots = slots
    contents = Buffer(allocator: allocator)
    spans = Buffer(allocator: allocator)
    normalizedSpans = Buffer(allocator: allocator)
    specials = IdSet(allocator: allocator)
    strangers = IdSet(allocator: allocator)
  }

  /// Highest id + 1.
  var idCount: Int { spans.count }
  /// Tokens, unused ids left out.
  private(set) var count = 0

  /// Adds a token whose content and id are both new.
  mutating func insert(_ content: UnsafeRawBufferPointer, id: Int32) throws(XverseError) {
    precondition(!content.isEmpty && id >= 0, "token \(id) of \(content.count) bytes")
    let span = try append(content)
    while spans.count <= Int(id) { try spans.append(.unused) }
    spans[Int(id)] = span
    count += 1
    let hash = Self.hash(content)
    slots[slot(of: content, hash: hash)] = Slot(id: id, tag: Self.tag(hash))
  }

  /// Makes the ids below `count` unused ones as far as they have no token.
  mutating func extend(to count: Int) throws(XverseError) {
    while spans.count < count { try spans.append(.unused) }
  }

  /// The id of the token with exactly these bytes.
  func id(of content: UnsafeRawBufferPointer) -> Int32? {
    let id = slots[slot(of: content, hash: Self.hash(content))].id
    return id < 0 ? nil : id
  }

  func id(of content: String) -> Int32? {
    var content = content
    return content.withUTF8 { id(of: UnsafeRawBufferPointer($0)) }
  }

  /// The bytes of the token as the file spells it; nil when the id is unused or outside the vocabulary.
  func content(of id: Int32) -> UnsafeRawBufferPointer? {
    guard id >= 0, id < spans.count else { return nil }
    return bytes(of: spans[Int(id)])
  }

  /// What decoding starts from: the content, but of an added token that is found in normalized text its normalized
  /// form. Nil as for `content(of:)`.
  func spelling(of id: Int32) -> UnsafeRawBufferPointer? {
    guard id >= 0, id < normalizedSpans.count else { return content(of: id) }
    return bytes(of: normalizedSpans[Int(id)]) ?? content(of: id)
  }

  /// Sets the normalized form of an added token.
  mutating func setSpelling(_ normalized: UnsafeRawBufferPointer, of id: Int32) throws(XverseError) {
    let span = try append(normalized)
    while normalizedSpans.count <= Int(id) { try normalizedSpans.append(.unused) }
    normalizedSpans[Int(id)] = span
  }

  private mutating func append(_ content: UnsafeRawBufferPointer) throws(XverseError) -> Span {
    // The length of the file, or of the description, keeps both numbers small: contents come from it, and a
    // normalized form is short.
    let span = Span(start: UInt32(contents.count), count: UInt32(content.count))
    try contents.append(bytes: content)
    return span
  }

  private func bytes(of span: Span) -> UnsafeRawBufferPointer? {
    guard span.count > 0 else { return nil }
    let start = Int(span.start)
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(contents.elements)[start..<start + Int(span.count)])
  }

  // MARK: added tokens

  var hasSpecials: Bool { !specials.isEmpty }

  func isSpecial(_ id: Int32) -> Bool { specials.contains(id) }

  mutating func markSpecial(_ id: Int32) throws(XverseError) { try specials.insert(id) }

  /// Adds a token that the model does not know: only searching the text for added tokens finds it.
  mutating func insertStranger(_ content: UnsafeRawBufferPointer, id: Int32) throws(XverseError) {
    try insert(content, id: id)
    try strangers.insert(id)
  }

  /// The id of the model's token with exactly these bytes.
  func modelId(of content: UnsafeRawBufferPointer) -> Int32? {
    guard let id = id(of: content), !strangers.contains(id) else { return nil }
    return id
  }

  // MARK: hashing

  /// The slot that holds the content, or the free one where it belongs: at least half of the slots are free.
  private func slot(of content: UnsafeRawBufferPointer, hash: Int) -> Int {
    let mask = slots.count - 1
    var index = hash & mask
    while slots[index].id >= 0 {
      if slots[index].tag == Self.tag(hash), holds(content, id: slots[index].id) { return index }
      index = (index + 1) & mask
    }
    return index
  }

  private func holds(_ content: UnsafeRawBufferPointer, id: Int32) -> Bool {
    guard let candidate = self.content(of: id), candidate.count == content.count,
      let left = candidate.baseAddress, let right = content.baseAddress
    else { return false }
    return memcmp(left, right, content.count) == 0
  }

  /// Seeded at random for every process, so nobody can aim at collisions.
  private static func hash(_ content: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: content)
    return hasher.finalize()
  }

  private static func tag(_ hash: Int) -> UInt32 { UInt32(truncatingIfNeeded: hash >> 32) }
}
