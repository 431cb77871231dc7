// AddedTokens.swift -- tokens that are cut out of the text before the model sees it: the special ones and whatever a
// fine-tuning added.

import XverseCore

/// The `added_tokens` of tokenizer.json.
///
/// A token is looked for in the caller's text, or with `normalized` in the normalized text between the others.
struct AddedTokens: ~Copyable {
  struct Rule: BitwiseCopyable {
    var id: Int32
    var isSpecial: Bool
    /// Ignored inside a word.
    var isSingleWord: Bool
    /// Takes the white space before it, or behind it, with it.
    var stripsLeft: Bool
    var stripsRight: Bool
  }

  /// A part of a text that was searched.
  enum Segment: Equatable {
    case text(Range<Int>)
    case token(Int32)
  }

  private var rules: Buffer<Rule>
  private var inText: TokenTrie
  private var inNormalizedText: TokenTrie

  /// - Parameters:
  ///   - byteCount: Most bytes of all tokens together that are looked for in the caller's text.
  ///   - normalizedByteCount: The same of those that are looked for in normalized text.
  init(byteCount: Int, normalizedByteCount: Int, allocator: MemoryAllocator) throws(XverseError) {
    let inText = try TokenTrie(byteCount: byteCount, allocator: allocator)
    let inNormalizedText = try TokenTrie(byteCount: normalizedByteCount, allocator: allocator)
    rules = Buffer(allocator: allocator)
    self.inText = inText
    self.inNormalizedText = inNormalizedText
  }

  /// Adds a token whose text, normalized if need be, has 1 to `TokenTrie.maximumLength` bytes.
  ///
  /// - Returns: Whether the text is new among those that are looked for in the same place.
  mutating func insert(
    _ text: UnsafeRawBufferPointer, isNormalized: Bool, rule: Rule
  ) throws(XverseError) -> Bool {
    let index = Int32(rules.count)
    try rules.append(rule)
    return isNormalized
      ? try inNormalizedText.insert(text, value: index) : try inText.insert(text, value: index)
  }

  /// The next part of the caller's text, or of a normalized one; nil at the end. The parts cover the text but for
  /// white space that a token took.
  func next(_ cursor: inout Cursor) -> Segment? {
    if let token = cursor.pendingToken {
      cursor.pendingToken = nil
      return .token(token)
    }
    while let match = nextMatch(&cursor) {
      let rule = rules[Int(match.value)]
      if rule.isSingleWord && cursor.touchesWord(match.range) { continue }
      let start = rule.stripsLeft ? cursor.startOfWhitespace(before: match.range.lowerBound) : match.range.lowerBound
      let end = rule.stripsRight ? cursor.endOfWhitespace(after: match.range.upperBound) : match.range.upperBound
      // A token that strips may have taken the text of this one already: then nothing is left for it.
      guard start < end else { continue }
      let before = cursor.emitted
      cursor.emitted = end
      guard before < start else { return .token(rule.id) }
      cursor.pendingToken = rule.id
      return .text(before..<start)
    }
    guard cursor.emitted < cursor.bytes.count else { return nil }
    defer { cursor.emitted = cursor.bytes.count }
    return .text(cursor.emitted..<cursor.bytes.count)
  }

  private func nextMatch(_ cursor: inout Cursor) -> (value: Int32, range: Range<Int>)? {
    cursor.isNormalized ? nextMatch(inNormalizedText, &cursor) : nextMatch(inText, &cursor)
  }

  /// The leftmost match from the cursor on, of those that begin there the longest.
  private func nextMatch(_ trie: borrowing TokenTrie, _ cursor: inout Cursor) -> (value: Int32, range: Range<Int>)? {
    guard !trie.isEmpty else { return nil }
    let allowsSpecials = cursor.allowsSpecials
    while cursor.searched < cursor.bytes.count {
      let start = cursor.searched
      let match = trie.longestMatch(in: cursor.bytes, at: start) { allowsSpecials || !rules[Int($0)].isSpecial }
      if let match {
        cursor.searched = match.end
        return (match.value, start..<match.end)
      }
      cursor.searched += 1
    }
    return nil
  }

  /// Where a search of one text stands.
  struct Cursor {
    fileprivate let bytes: UnsafeRawBufferPointer
    fileprivate let isNormalized: Bool
    fileprivate let allowsSpecials: Bool
    /// The search goes on here.
    fileprivate var searched = 0
    /// Everything before belongs to parts that were returned.
    fileprivate var emitted = 0
    fileprivate var pendingToken: Int32?
    /// The white space that was last walked over reaches this far: no run of it is walked over twice.
    private var whitespaceEnd = 0

    /// - Parameters:
    ///   - isNormalized: Which tokens are looked for: those of the normalized text or those of the caller's.
    ///   - allowsSpecials: Whether special tokens are; else they are text.
    init(_ bytes: UnsafeRawBufferPointer, isNormalized: Bool, allowsSpecials: Bool) {
      self.bytes = bytes
      self.isNormalized = isNormalized
      self.allowsSpecials = allowsSpecials
    }

    fileprivate func touchesWord(_ range: Range<Int>) -> Bool {
      if let before = UTF8Scalar.scalar(in: bytes, endingAt: range.lowerBound), before.scalar.isWord { return true }
      return UTF8Scalar.scalar(in: bytes, at: range.upperBound)?.isWord ?? false
    }

    /// Where the white space before `position` starts, no earlier than what was emitted.
    fileprivate func startOfWhitespace(before position: Int) -> Int {
      var start = position
      while start > emitted, let before = UTF8Scalar.scalar(in: bytes, endingAt: start),
        before.scalar.properties.isWhitespace
      {
        start -= before.length
      }
      return max(start, emitted)
    }

    fileprivate mutating func endOfWhitespace(after position: Int) -> Int {
      var end = position
      while end < bytes.count {
        if end < whitespaceEnd { return whitespaceEnd }
        guard let scalar = UTF8Scalar.scalar(in: bytes, at: end), scalar.properties.isWhitespace else { break }
        end += UTF8Scalar.characterLength(in: bytes, at: end)
      }
      whitespaceEnd = end
      return end
    }
  }
}
