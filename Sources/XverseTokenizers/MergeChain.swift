// MergeChain.swift -- the symbols of one piece, which merge with their neighbours in the order of a rank until no pair
// has one: the loop that every byte-pair model shares.

import XverseCore

/// Memory for one piece after the other. 16 bytes a symbol and 8 an entry of the queue.
struct MergeChain: ~Copyable {
  /// A part of the piece, linked to its neighbours.
  struct Symbol: BitwiseCopyable {
    fileprivate static let removed: Int32 = -1

    /// What the model knows the symbol by; not negative.
    fileprivate(set) var value: Int32
    fileprivate var previous: Int32
    /// Index of the next symbol, -1 at the end.
    fileprivate(set) var next: Int32
    /// Rank of the pair of this symbol and the next.
    fileprivate var rank: Int32

    /// Whether it went into the symbol before it.
    var isRemoved: Bool { value == Self.removed }
  }

  /// The rank of a pair that does not merge. Ranks are compared without their sign, so it comes after all of them.
  static let unranked = PairTable.absent

  private var chain: Buffer<Symbol>
  private var queue: MergeQueue

  init(allocator: MemoryAllocator) {
    chain = Buffer(allocator: allocator)
    queue = MergeQueue(allocator: allocator)
  }

  /// The symbols in order, those that were removed by merging among them.
  var symbols: UnsafeBufferPointer<Symbol> { chain.elements }

  /// Entries that all merging so far put into the queue: the measure of the work done.
  var queuedCount: Int { queue.addedCount }

  mutating func removeAll() { chain.removeAll() }

  mutating func append(_ value: Int32) throws(XverseError) {
    let index = Int32(chain.count)
    try chain.append(Symbol(value: value, previous: index - 1, next: -1, rank: Self.unranked))
  }

  /// Merges the pair of the lowest rank, of equal ones the leftmost, until no pair has a rank.
  ///
  /// A symbol remembers the rank of the pair that it begins. An entry of the queue whose rank is no longer that of its
  /// position has expired. There are at most 3 entries a symbol: one at the start and two a merge.
  ///
  /// - Parameters:
  ///   - rank: The rank of a pair by the values of its symbols and of the one behind it, nil at the end; or `unranked`.
  ///   - result: The value of the merged symbol by the rank and the value of the left one.
  @inline(__always)
  mutating func merge(
    rank: (_ left: Int32, _ right: Int32, _ behind: Int32?) -> Int32, result: (_ rank: Int32, _ left: Int32) -> Int32
  ) throws(XverseError) {
    let count = chain.count
    queue.removeAll()
    for index in 0..<count {
      chain[index].next = Int32(index + 1 < count ? index + 1 : -1)
    }
    for index in 0..<count {
      let found = pairRank(at: index, rank)
      chain[index].rank = found
      if found != Self.unranked { try queue.appendUnordered(rank: found, position: Int32(index)) }
    }
    queue.restoreOrder()
    while let (best, position) = queue.pop() {
      let left = Int(position)
      guard chain[left].rank == best else { continue }
      let right = Int(chain[left].next)
      let next = chain[right].next
      chain[left].value = result(best, chain[left].value)
      chain[left].next = next
      chain[right].value = Symbol.removed
      chain[right].rank = Self.unranked
      if next >= 0 { chain[Int(next)].previous = position }
      try updateRank(position, rank)
      try updateRank(chain[left].previous, rank)
    }
  }

  /// Looks up the pair that begins at `position` again and puts it into the queue; -1 stands for no position.
  @inline(__always)
  private mutating func updateRank(
    _ position: Int32, _ rank: (Int32, Int32, Int32?) -> Int32
  ) throws(XverseError) {
    guard position >= 0 else { return }
    let found = pairRank(at: Int(position), rank)
    chain[Int(position)].rank = found
    if found != Self.unranked { try queue.push(rank: found, position: position) }
  }

  @inline(__always)
  private func pairRank(at index: Int, _ rank: (Int32, Int32, Int32?) -> Int32) -> Int32 {
    let left = chain[index]
    guard left.next >= 0 else { return Self.unranked }
    let right = chain[Int(left.next)]
    return rank(left.value, right.value, right.next < 0 ? nil : chain[Int(right.next)].value)
  }
}
