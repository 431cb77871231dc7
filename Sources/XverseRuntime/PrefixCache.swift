// PrefixCache.swift -- finds the keys and values that any earlier sequence of a model computed, by its tokens: a tree of
// blocks (radix tree) whose least recently used leaves go first.

import XverseCore
import XverseModels
import XverseTensors

/// Blocks of keys and values that sequences of one model filled, by the tokens from the beginning of the sequence on.
///
/// Each node is a block with its tokens, at most `KVLayout.positionsPerBlock`; its parent holds the tokens before. Only the
/// last block of a path may be filled in part. The nodes of a path are used when the path is: so a node is never used later
/// than its parent, and the least recently used one is a leaf.
///
/// Threads: any thread may call any member at any time. The tree takes no memory of the allocator's, apart from the blocks
/// that it holds: about 500 bytes a block.
package final class PrefixCache: MemoryReserve {
  /// What lookups found so far.
  package struct Statistics: Sendable, Equatable {
    package var blocks = 0
    package var bytes = 0
    /// Tokens that sequences asked for, and those of them that were found.
    package var lookedUpTokens = 0
    package var foundTokens = 0
  }

  private let state: Guarded<PrefixTree>
  private let allocator: MemoryAllocator

  /// - Parameters:
  ///   - limit: Most bytes of blocks that nobody else holds; those that sequences hold anyway cost nothing.
  ///   - allocator: Of the blocks; before it runs out of memory, blocks go, first those that nobody else holds.
  package init(limit: Int, allocator: MemoryAllocator) {
    state = Guarded(PrefixTree(limit: limit))
    self.allocator = allocator
    allocator.add(self)
  }

  package var statistics: Statistics { state.withLock { $0.statistics } }

  /// Lets `cache` hold what is known of a sequence that begins with `tokens`, when that is more than it holds.
  ///
  /// - Parameter tokens: Those that `cache` holds, and more.
  /// - Returns: The length of the cache after that: `tokens.count` at most.
  package func extend(_ cache: KVCache, toward tokens: UnsafeBufferPointer<Int32>) -> Int {
    state.withLock { tree in
      let found = tree.find(tokens, cache.layout.element)
      tree.statistics.lookedUpTokens += tokens.count - cache.length
      guard found.count > cache.length else { return cache.length }
      tree.statistics.foundTokens += found.count - cache.length
      // While the lock is held: nobody gives the blocks up in between.
      cache.adopt(found.blocks, positions: found.count)
      return found.count
    }
  }

  /// Remembers the blocks of `cache`, whose tokens are `tokens`.
  ///
  /// - Parameter includesPartBlock: Whether also the last block, filled in part. The cache then copies it when it grows.
  package func insert(_ cache: KVCache, _ tokens: UnsafeBufferPointer<Int32>, includesPartBlock: Bool = false) {
    let block = KVLayout.positionsPerBlock
    let count = includesPartBlock ? tokens.count : tokens.count / block * block
    guard count > 0 else { return }
    state.withLock { tree in
      tree.insert(
        UnsafeBufferPointer(rebasing: tokens[..<count]), cache.blocks(positions: count), cache.layout.element)
      tree.trim()
    }
  }

  /// Gives up blocks beyond the limit: after a sequence let go of its own.
  package func trim() { state.withLock { $0.trim() } }

  package func relieve(_ allocator: MemoryAllocator) -> Bool {
    allocator === self.allocator && state.withLock { $0.removeSome() || $0.removeUntilMemoryIsFreed() }
  }

  /// - Throws: `internal` for a tree that contradicts itself.
  package func checkInvariants() throws(XverseError) {
    let fault = state.withLock { $0.fault }
    if let fault { throw XverseError(.internal, fault) }
  }
}

/// The tree and the order of use, in one array of nodes.
private struct PrefixTree: ~Copyable {
  private struct Node {
    var tokens: [Int32] = []
    var block: KVBlock?
    /// Sorted by their tokens, none of which begin with all of another's.
    var children: [Int] = []
    var parent = none
    var newer = none
    var older = none
  }

  private static let none = -1

  private var nodes: [Node] = []
  private var freeNodes: [Int] = []
  private var roots: [KVElement: Int] = [:]
  private var newest = none
  private var oldest = none
  private let limit: Int
  var statistics = PrefixCache.Statistics()

  init(limit: Int) { self.limit = limit }

  deinit {
    for node in nodes { node.block?.drop() }
  }

  // MARK: tokens

  /// The blocks of the longest known beginning of `tokens`, and how many of the tokens it has.
  mutating func find(_ tokens: UnsafeBufferPointer<Int32>, _ element: KVElement) -> (blocks: [KVBlock], count: Int) {
    guard let root = roots[element] else { return ([], 0) }
    var blocks: [KVBlock] = []
    var (node, count) = (root, 0)
    while count < tokens.count {
      let wanted = tokens[count...].prefix(KVLayout.positionsPerBlock)
      let place = place(of: wanted, in: node)
      // What has the most in common with the wanted tokens stands beside their place.
      var best = (child: Self.none, common: 0)
      for neighbour in [place - 1, place] where nodes[node].children.indices.contains(neighbour) {
        let child = nodes[node].children[neighbour]
        let common = zip(nodes[child].tokens, wanted).prefix { $0 == $1 }.count
        if common > best.common { best = (child, common) }
      }
      guard best.common > 0, let block = nodes[best.child].block else { break }
      blocks.append(block)
      count += best.common
      node = best.child
      if best.common < KVLayout.positionsPerBlock { break }
    }
    touch(node)
    return (blocks, count)
  }

  mutating func insert(_ tokens: UnsafeBufferPointer<Int32>, _ blocks: [KVBlock], _ element: KVElement) {
    var node = root(element)
    for (index, block) in blocks.enumerated() {
      let part = tokens[(index * KVLayout.positionsPerBlock)...].prefix(KVLayout.positionsPerBlock)
      var place = place(of: part, in: node)
      if place < nodes[node].children.count, nodes[nodes[node].children[place]].tokens.starts(with: part) {
        node = nodes[node].children[place]
        continue
      }
      if place > 0, part.starts(with: nodes[nodes[node].children[place - 1]].tokens) {
        place -= 1
        remove(nodes[node].children[place])
      }
      node = add(Array(part), block, to: node, at: place)
    }
    touch(node)
  }

  /// Where among a node's children one with these tokens would stand.
  private func place(of tokens: Slice<UnsafeBufferPointer<Int32>>, in node: Int) -> Int {
    var (low, high) = (0, nodes[node].children.count)
    while low < high {
      let middle = (low + high) / 2
      if nodes[nodes[node].children[middle]].tokens.lexicographicallyPrecedes(tokens) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  // MARK: memory

  /// Removes what nobody else holds, the least recently used first, until the limit is kept.
  mutating func trim() {
    if statistics.bytes > limit { shrink(by: unheldBytes - limit) }
  }

  /// Removes an eighth of what nobody else holds: as often as this is asked, all of it goes in time linear in it up to a
  /// logarithm.
  ///
  /// - Returns: Whether there was something to remove.
  mutating func removeSome() -> Bool {
    let before = statistics.bytes
    shrink(by: max(1, unheldBytes / 8))
    return statistics.bytes < before
  }

  private var unheldBytes: Int {
    var (bytes, node) = (0, oldest)
    while node != Self.none {
      if let block = nodes[node].block, !block.isShared { bytes += block.byteCount }
      node = nodes[node].newer
    }
    return bytes
  }

  /// Removes blocks of `bytes` or a little more that nobody else holds, as far as there are any. A parent is newer than
  /// its children, so one walk is enough.
  private mutating func shrink(by bytes: Int) {
    var (rest, node) = (bytes, oldest)
    while rest > 0, node != Self.none {
      let next = nodes[node].newer
      if nodes[node].children.isEmpty, let block = nodes[node].block, !block.isShared {
        rest -= block.byteCount
        remove(node)
      }
      node = next
    }
  }

  /// Forgets blocks, those that sequences hold too, until one of them goes back to the allocator.
  ///
  /// - Returns: False when the tree is empty before that.
  mutating func removeUntilMemoryIsFreed() -> Bool {
    while oldest != Self.none {
      let isShared = nodes[oldest].block?.isShared == true
      remove(oldest)
      if !isShared { return true }
    }
    return false
  }

  // MARK: nodes

  private mutating func root(_ element: KVElement) -> Int {
    if let root = roots[element] { return root }
    let root = takeNode()
    roots[element] = root
    return root
  }

  private mutating func takeNode() -> Int {
    if let node = freeNodes.popLast() { return node }
    nodes.append(Node())
    return nodes.count - 1
  }

  private mutating func add(_ tokens: [Int32], _ block: KVBlock, to parent: Int, at place: Int) -> Int {
    let node = takeNode()
    block.hold()
    nodes[node] = Node(tokens: tokens, block: block, parent: parent)
    nodes[parent].children.insert(node, at: place)
    link(node)
    statistics.blocks += 1
    statistics.bytes += block.byteCount
    return node
  }

  /// Removes a leaf.
  private mutating func remove(_ node: Int) {
    let parent = nodes[node].parent
    let place = nodes[node].tokens.withUnsafeBufferPointer { self.place(of: $0[...], in: parent) }
    nodes[parent].children.remove(at: place)
    unlink(node)
    if let block = nodes[node].block {
      statistics.blocks -= 1
      statistics.bytes -= block.byteCount
      block.drop()
    }
    nodes[node] = Node()
    freeNodes.append(node)
  }

  // MARK: order of use

  /// Makes the nodes of a path the most recently used ones, the first of the path the very last.
  private mutating func touch(_ last: Int) {
    var node = last
    while nodes[node].parent != Self.none {
      unlink(node)
      link(node)
      node = nodes[node].parent
    }
  }

  private mutating func link(_ node: Int) {
    nodes[node].older = newest
    nodes[node].newer = Self.none
    if newest != Self.none { nodes[newest].newer = node } else { oldest = node }
    newest = node
  }

  private mutating func unlink(_ node: Int) {
    let (newer, older) = (nodes[node].newer, nodes[node].older)
    if newer != Self.none { nodes[newer].older = older } else { newest = older }
    if older != Self.none { nodes[older].newer = newer } else { oldest = newer }
  }

  // MARK: checks

  /// What is wrong with the tree; nil for nothing.
  var fault: String? {
    var bytes = 0
    var count = 0
    var rank = [Int](repeating: 0, count: nodes.count)
    var (node, older) = (oldest, Self.none)
    while node != Self.none {
      count += 1
      guard count <= nodes.count else { return "the list of nodes has no end" }
      guard nodes[node].older == older else { return "node \(node) of the list does not know the one before it" }
      rank[node] = count
      bytes += nodes[node].block?.byteCount ?? 0
      (older, node) = (node, nodes[node].newer)
    }
    guard older == newest, count == statistics.blocks, bytes == statistics.bytes else {
      return "the list has \(count) blocks of \(bytes) bytes, counted are \(statistics.blocks) of \(statistics.bytes)"
    }
    guard count + roots.count + freeNodes.count == nodes.count else { return "a node is neither used nor free" }
    for (index, node) in nodes.enumerated() {
      for child in node.children where nodes[child].parent != index { return "node \(child) has another parent" }
      for (left, right) in zip(node.children, node.children.dropFirst()) {
        guard nodes[left].tokens.lexicographicallyPrecedes(nodes[right].tokens) else { return "children out of order" }
        if nodes[right].tokens.starts(with: nodes[left].tokens) { return "a node that is part of its neighbour" }
      }
      guard rank[index] > 0 else { continue }
      if node.parent == Self.none || !nodes[node.parent].children.contains(index) {
        return "node \(index) has no parent"
      }
      if rank[node.parent] > 0 && rank[node.parent] < rank[index] { return "node \(index) is newer than its parent" }
      let isFull = node.tokens.count == KVLayout.positionsPerBlock
      if node.tokens.isEmpty || !isFull && !node.children.isEmpty { return "node \(index) is not full" }
    }
    return nil
  }
}
