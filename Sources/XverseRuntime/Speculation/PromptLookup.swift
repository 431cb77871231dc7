// PromptLookup.swift -- prompt lookup decoding (Saxena 2023): what followed the last tokens when they occurred before may
// follow them again.

import XverseCore

/// The place in a text that its end repeats.
struct PromptLookup: ~Copyable {
  /// An earlier occurrence of the last tokens.
  struct Match {
    /// Tokens up to its end: the index of the token that is guessed.
    var end: Int
    /// Tokens before `end` that equal the last ones, counted up to `longestMatch`; 1 where the last token stands in the
    /// place of another.
    var length: Int
  }

  static let longestMatch = 32
  /// Matches of so many tokens are worth going on with behind a token that differs.
  private static let shortestEdited = 4

  private(set) var match: Match?
  private var trigrams: NGramIndex
  private var bigrams: NGramIndex

  init(allocator: MemoryAllocator) {
    trigrams = NGramIndex(size: 3, allocator: allocator)
    bigrams = NGramIndex(size: 2, allocator: allocator)
  }

  /// Looks for the last tokens of `text`, which has one token more than at the last call: among the latest occurrences of
  /// its last three and two tokens and the continuation of the match before, the one with most tokens in common. Where there
  /// is none, a long match goes on as if its last token had been replaced.
  ///
  /// - Throws: `outOfMemory`; there is no match then.
  mutating func advance(_ text: UnsafeBufferPointer<Int32>) throws(XverseError) {
    let before = match
    match = nil
    let bigram = try bigrams.add(text)
    var end = try trigrams.add(text) ?? bigram
    var length = end.map { Self.commonLength(text, $0) } ?? 0
    if let before, text[before.end] == text[text.count - 1] {
      let continued = min(before.length + 1, Self.longestMatch)
      if continued > length { (end, length) = (before.end + 1, continued) }
    } else if let before, end == nil, before.length >= Self.shortestEdited {
      (end, length) = (before.end + 1, 1)
    }
    if let end { match = Match(end: end, length: length) }
  }

  /// How many tokens before `end` equal those before the end of the text.
  private static func commonLength(_ text: UnsafeBufferPointer<Int32>, _ end: Int) -> Int {
    var length = 0
    while length < min(end, longestMatch), text[end - 1 - length] == text[text.count - 1 - length] { length += 1 }
    return length
  }
}
