// TokenSequence.swift -- tokens with their keys and values: what a session and a request of a scheduler grow.

import XverseCore
import XverseModels
import XverseTensors

/// The tokens evaluated so far, and the cache that holds their keys and values.
///
/// Threads: one owner at a time.
package final class TokenSequence {
  package let cache: KVCache
  private var ids: Buffer<Int32>
  private let prefixes: PrefixCache?
  /// Blocks from the first on that `prefixes` knows.
  private var knownBlocks = 0
  /// Whether others may have its blocks: not those of a file, which are only as good as whoever wrote it.
  private var isShareable = true

  /// - Parameters:
  ///   - context: Most tokens.
  ///   - prefixes: Where it finds what other sequences computed, and leaves what it computed.
  package init(
    _ layout: KVLayout, context: Int, source: any KVBlockSource, allocator: MemoryAllocator, prefixes: PrefixCache?
  ) throws(XverseError) {
    cache = try KVCache(layout, capacity: context, source: source, allocator: allocator)
    ids = Buffer(allocator: allocator)
    self.prefixes = prefixes
  }

  deinit { release() }

  /// Lets go of all blocks, which others can find from then on.
  package func release() {
    // The last block too: nobody else is going to grow it.
    if length > 0, isShareable { prefixes?.insert(cache, ids.elements, includesPartBlock: true) }
    ids.removeAll()
    knownBlocks = 0
    cache.adopt([], positions: 0)
    prefixes?.trim()
  }

  package var length: Int { ids.count }
  /// Valid until the next change.
  package var tokens: UnsafeBufferPointer<Int32> { ids.elements }

  /// Makes room for `count` tokens in all, in whole blocks of the cache: a token takes memory only where those end.
  package func reserveTokens(_ count: Int) throws(XverseError) {
    let block = KVLayout.positionsPerBlock
    try ids.reserve((count + block - 1) / block * block)
  }

  /// Forgets all but the first `count` tokens.
  package func truncate(to count: Int) {
    cache.truncate(to: count)
    ids.truncate(to: count)
    knownBlocks = min(knownBlocks, count / KVLayout.positionsPerBlock)
    if count == 0 { isShareable = true }
  }

  /// Counts tokens as evaluated whose keys and values the cache has; `reserveTokens` made room for them.
  package func append(_ tokens: UnsafeBufferPointer<Int32>) throws(XverseError) {
    try ids.append(contentsOf: tokens)
    publish()
  }

  /// Takes what other sequences computed of `tokens`, which follow those that it has, but not the last of them.
  ///
  /// - Returns: How many of `tokens` it has then.
  package func adoptKnown(_ tokens: UnsafeBufferPointer<Int32>) throws(XverseError) -> Int {
    guard let prefixes, tokens.count > 1 else { return 0 }
    let begin = length
    try reserveTokens(begin + tokens.count)
    try ids.append(contentsOf: UnsafeBufferPointer(rebasing: tokens.dropLast()))
    let found = prefixes.extend(cache, toward: ids.elements)
    ids.truncate(to: found)
    knownBlocks = found / KVLayout.positionsPerBlock
    return found - begin
  }

  /// Runs `body`, which evaluates and appends the last token again, without that token.
  ///
  /// - Throws: What `body` throws; the sequence is then as before.
  package func evaluatingLastAgain(_ body: () throws(XverseError) -> Void) throws(XverseError) {
    guard let last = tokens.last else { return }
    let count = length
    let blocks = cache.blocks(positions: count)
    // One that others hold is left to them, and must still be as it is when `body` fails.
    let shared = blocks.last.flatMap { $0.isShared ? $0 : nil }
    shared?.hold()
    defer { shared?.drop() }
    truncate(to: count - 1)
    do throws(XverseError) { try body() } catch {
      cache.adopt(blocks, positions: count)
      ids.truncate(to: count - 1)
      try ids.append(last)
      throw error
    }
  }

  /// A sequence with the same tokens, whose blocks both hold.
  package func fork() throws(XverseError) -> TokenSequence {
    let copy = try TokenSequence(
      cache.layout, context: cache.capacity, source: cache.source, allocator: ids.allocator, prefixes: prefixes)
    try copy.share(self, count: length)
    return copy
  }

  /// Holds the first `count` tokens of `other` and their blocks, in place of what it held.
  package func share(_ other: TokenSequence, count: Int) throws(XverseError) {
    try reserveTokens(count)
    ids.removeAll()
    try ids.append(contentsOf: UnsafeBufferPointer(rebasing: other.tokens[..<count]))
    cache.adopt(other.cache.blocks(positions: count), positions: count)
    knownBlocks = 0
    isShareable = other.isShareable
  }

  /// Holds these tokens and their blocks, which a file had, in place of what it held. No other sequence gets them.
  ///
  /// - Throws: `outOfMemory`; the sequence is then as before.
  func replace(_ tokens: UnsafeBufferPointer<Int32>, _ blocks: [KVBlock]) throws(XverseError) {
    try reserveTokens(tokens.count)
    ids.removeAll()
    try ids.append(contentsOf: tokens)
    cache.adopt(blocks, positions: tokens.count)
    knownBlocks = 0
    isShareable = tokens.isEmpty
  }

  /// Lets others find blocks that have become full.
  private func publish() {
    let full = length / KVLayout.positionsPerBlock
    guard let prefixes, isShareable, full > knownBlocks else { return }
    prefixes.insert(cache, UnsafeBufferPointer(rebasing: ids.elements[..<(full * KVLayout.positionsPerBlock)]))
    knownBlocks = full
  }
}

extension UnsafeBufferPointer<Int32> {
  /// How many tokens both begin with.
  func countInCommon(with other: Self) -> Int {
    let most = Swift.min(count, other.count)
    var common = 0
    while common < most, self[common] == other[common] { common += 1 }
    return common
  }
}
