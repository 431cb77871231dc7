// MergeQueue.swift -- the merges of one piece that may be next: a binary heap, the lowest rank and of equal ranks the
// leftmost first. Ranks are compared without their sign.

import XverseCore

/// A priority queue of (rank, position). Push and pop take O(log n).
struct MergeQueue: ~Copyable {
  /// Rank and position in one number, so that their order is the order of numbers.
  private var heap: Buffer<UInt64>
  /// How many entries were ever added: the measure of the work done.
  private(set) var addedCount = 0

  init(allocator: MemoryAllocator) { heap = Buffer(allocator: allocator) }

  mutating func removeAll() { heap.removeAll() }

  /// Adds an entry without regard to the order; `restoreOrder` must follow before the next pop.
  mutating func appendUnordered(rank: Int32, position: Int32) throws(XverseError) {
    addedCount += 1
    try heap.append(Self.entry(rank, position))
  }

  /// Makes a heap of what was appended, in O(n).
  mutating func restoreOrder() {
    for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(from: index) }
  }

  mutating func push(rank: Int32, position: Int32) throws(XverseError) {
    addedCount += 1
    let entry = Self.entry(rank, position)
    try heap.append(entry)
    var index = heap.count - 1
    while index > 0 {
      let parent = (index - 1) / 2
      if heap[parent] <= entry { break }
      heap[index] = heap[parent]
      index = parent
    }
    heap[index] = entry
  }

  mutating func pop() -> (rank: Int32, position: Int32)? {
    guard !heap.isEmpty else { return nil }
    let first = heap[0]
    heap[0] = heap[heap.count - 1]
    heap.truncate(to: heap.count - 1)
    siftDown(from: 0)
    return (Int32(truncatingIfNeeded: first >> 32), Int32(truncatingIfNeeded: first))
  }

  private mutating func siftDown(from start: Int) {
    guard start < heap.count else { return }
    let entry = heap[start]
    var index = start
    while true {
      var child = 2 * index + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count && heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < entry else { break }
      heap[index] = heap[child]
      index = child
    }
    heap[index] = entry
  }

  private static func entry(_ rank: Int32, _ position: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: rank)) << 32 | UInt64(UInt32(bitPattern: position))
  }
}
