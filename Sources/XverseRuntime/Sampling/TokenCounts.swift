// TokenCounts.swift -- how often each token occurs: constant time to count, and a walk over only those that do.

import XverseCore

/// A multiset of token ids below a vocabulary size.
///
/// A sparse set (Briggs & Torczon 1993): a table from id to place, and the ids with their counts packed together.
struct TokenCounts: ~Copyable {
  private var places: Buffer<Int32>
  private var tokens: Buffer<Int32>
  private var tallies: Buffer<Int>

  init(vocabularySize: Int, allocator: MemoryAllocator) throws(XverseError) {
    places = try Buffer(repeating: -1, count: vocabularySize, allocator: allocator)
    tokens = Buffer(allocator: allocator)
    tallies = Buffer(allocator: allocator)
  }

  init(copying other: borrowing TokenCounts, allocator: MemoryAllocator) throws(XverseError) {
    places = Buffer(allocator: allocator)
    tokens = Buffer(allocator: allocator)
    tallies = Buffer(allocator: allocator)
    try places.append(contentsOf: other.places.elements)
    try tokens.append(contentsOf: other.tokens.elements)
    try tallies.append(contentsOf: other.tallies.elements)
  }

  /// The ids that occur, in no particular order, and how often each of them does.
  var distinct: UnsafeBufferPointer<Int32> { tokens.elements }
  var counts: UnsafeBufferPointer<Int> { tallies.elements }

  /// Reserves memory for the next `add`. Amortized O(1).
  mutating func reserveOne() throws(XverseError) {
    try tokens.reserve(tokens.count + 1)
    try tallies.reserve(tallies.count + 1)
  }

  /// Counts a token, after `reserveOne`.
  mutating func add(_ token: Int32) {
    let place = Int(places[Int(token)])
    if place >= 0 {
      tallies[place] += 1
      return
    }
    places[Int(token)] = Int32(tokens.count)
    tokens.appendReserved(token)
    tallies.appendReserved(1)
  }

  /// Takes back one `add` of this token.
  mutating func remove(_ token: Int32) {
    let place = Int(places[Int(token)])
    precondition(place >= 0, "token \(token) was not counted")
    tallies[place] -= 1
    guard tallies[place] == 0 else { return }
    let last = tokens.count - 1
    tokens[place] = tokens[last]
    tallies[place] = tallies[last]
    places[Int(tokens[place])] = Int32(place)
    places[Int(token)] = -1
    tokens.truncate(to: last)
    tallies.truncate(to: last)
  }
}
