// StopMatcher.swift -- finds stop strings in generated text as it comes, and holds back what may still become one, so
// that a listener never sees any part of a stop string.

import XverseCore

/// Cuts a stream of text before the first stop string in it.
///
/// The stop string that ends first wins; of several that end at the same byte the longest does. One Knuth-Morris-Pratt
/// automaton a stop string: at most two steps a byte and string on average, whatever the strings are.
/// Text is let go at character boundaries if it comes in whole characters. A stop string that itself begins inside a
/// character leaves, where it is found, the bytes before it.
package struct StopMatcher: ~Copyable {
  package static let maximumCount = 256
  package static let maximumLength = 4096

  /// True once a stop string was found; nothing is let go any more.
  package private(set) var isComplete = false
  /// The strings one after the other, and beside each byte the length of the longest proper prefix of its string that
  /// ends there.
  private var patterns: Buffer<UInt8>
  private var failures: Buffer<UInt16>
  /// Where each string begins in `patterns`, and after the last one where it ends.
  private var bounds: Buffer<Int>
  /// How much of each string the text so far ends with.
  private var matches: Buffer<Int>
  /// The end of the text, not yet let go: may begin a stop string, and at most 3 bytes of a character before that.
  private var held: Buffer<UInt8>

  /// - Throws: `range` for an empty string; `limit` for more than 256 of them or more than 4096 bytes in one;
  ///   `outOfMemory`.
  package init(_ strings: [[UInt8]], allocator: MemoryAllocator = .system) throws(XverseError) {
    patterns = Buffer(allocator: allocator)
    failures = Buffer(allocator: allocator)
    bounds = Buffer(allocator: allocator)
    matches = Buffer(allocator: allocator)
    held = Buffer(allocator: allocator)
    guard strings.count <= Self.maximumCount else {
      throw .limit("stop has \(strings.count) strings, expected at most \(Self.maximumCount)")
    }
    for (index, string) in strings.enumerated() {
      guard !string.isEmpty else { throw .range("stop string \(index) is empty, expected at least 1 byte") }
      guard string.count <= Self.maximumLength else {
        throw .limit("stop string \(index) has \(string.count) bytes, expected at most \(Self.maximumLength)")
      }
    }
    try bounds.append(0)
    for string in strings { try add(string) }
  }

  private mutating func add(_ string: [UInt8]) throws(XverseError) {
    let start = patterns.count
    var matched = 0
    for (index, byte) in string.enumerated() {
      if index > 0 { matched = extend(matched, of: start, with: byte) }
      try patterns.append(byte)
      try failures.append(UInt16(matched))
    }
    try bounds.append(patterns.count)
    try matches.append(0)
  }

  /// The length of the longest prefix of the string at `start` that a text ends with, after one more byte.
  private func extend(_ matched: Int, of start: Int, with byte: UInt8) -> Int {
    var matched = matched
    while patterns[start + matched] != byte {
      if matched == 0 { return 0 }
      matched = Int(failures[start + matched - 1])
    }
    return matched + 1
  }

  /// Takes the next bytes of the text and appends to `output` those that can be let go.
  ///
  /// - Returns: True when a stop string is complete: what was appended in all is then exactly the text before it, and
  ///   further bytes are ignored.
  /// - Throws: `outOfMemory`, after which nothing was taken or appended.
  package mutating func feed(
    _ bytes: UnsafeBufferPointer<UInt8>, into output: inout Buffer<UInt8>
  ) throws(XverseError) -> Bool {
    guard !isComplete else { return true }
    try output.reserve(output.count + held.count + bytes.count)
    try held.reserve(held.count + bytes.count)
    for byte in bytes {
      try held.append(byte)
      let completed = advance(byte)
      guard completed == 0 else {
        try release(held.count - completed, into: &output)
        held.removeAll()
        isComplete = true
        return true
      }
    }
    try release(lastBoundary(before: held.count - longestMatch()), into: &output)
    return false
  }

  /// Ends the text: when no stop string came, what was held back is appended to `output`.
  package mutating func finish(into output: inout Buffer<UInt8>) throws(XverseError) {
    try output.reserve(output.count + held.count)
    try release(held.count, into: &output)
  }

  /// Moves all automata by one byte; the length of the longest string that it completes, 0 if none.
  private mutating func advance(_ byte: UInt8) -> Int {
    var completed = 0
    for index in 0..<matches.count {
      let start = bounds[index]
      let matched = extend(matches[index], of: start, with: byte)
      matches[index] = matched
      if start + matched == bounds[index + 1] { completed = max(completed, matched) }
    }
    return completed
  }

  private func longestMatch() -> Int { matches.elements.max() ?? 0 }

  /// `position` in the held bytes, or the beginning of the character that it would split.
  private func lastBoundary(before position: Int) -> Int {
    guard position < held.count else { return position }
    let bytes = UnsafeRawBufferPointer(held.elements)
    for distance in 1..<4 where distance <= position {
      if let length = UTF8Scalar.length(in: bytes, at: position - distance) {
        return length > distance ? position - distance : position
      }
    }
    return position
  }

  private mutating func release(_ count: Int, into output: inout Buffer<UInt8>) throws(XverseError) {
    try output.append(contentsOf: UnsafeBufferPointer(rebasing: held.elements[..<count]))
    held.removeFirst(count)
  }
}
