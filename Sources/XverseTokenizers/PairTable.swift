// PairTable.swift -- pairs of ids to a value in one block of memory: the merges of the model and the edges of the
// added tokens' tries. The hot look-up of encoding.

import XverseCore

/// A hash table from two non-negative numbers to one, of a capacity that is known beforehand.
///
/// The hash is seeded at random and at least half of the slots stay free, so no file can aim at long probes.
struct PairTable: ~Copyable {
  private struct Slot: BitwiseCopyable {
    var first: Int32
    var second: Int32
    var value: Int32
  }

  /// What a look-up of an absent pair returns.
  static let absent: Int32 = -1

  private var slots: Buffer<Slot>
  private let shift: Int
  private let seed: UInt64

  /// - Parameter capacity: Most pairs that will be inserted. The table takes 24 to 48 bytes for each.
  init(capacity: Int, allocator: MemoryAllocator) throws(XverseError) {
    let bits = max(4, Int.bitWidth - (2 * capacity).leadingZeroBitCount)
    slots = try Buffer(
      repeating: Slot(first: 0, second: 0, value: Self.absent), count: 1 << bits, allocator: allocator)
    shift = 64 - bits
    seed = UInt64.random(in: .min ... .max)
  }

  /// Sets the value of a pair, or replaces it.
  mutating func insert(_ first: Int32, _ second: Int32, value: Int32) {
    let index = slot(of: first, second)
    slots[index] = Slot(first: first, second: second, value: value)
  }

  /// The value of the pair, or `absent`.
  subscript(first: Int32, second: Int32) -> Int32 { slots[slot(of: first, second)].value }

  /// The slot that holds the pair, or the free one where it belongs.
  private func slot(of first: Int32, _ second: Int32) -> Int {
    let mask = slots.count - 1
    var mixed = (UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))) ^ seed
    // The finalizer of SplitMix64 (Steele, Lea & Flood 2014): every input bit reaches the top bits.
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    var index = Int(truncatingIfNeeded: mixed >> UInt64(shift))
    while true {
      let slot = slots[index]
      if slot.value == Self.absent || (slot.first == first && slot.second == second) { return index }
      index = (index + 1) & mask
    }
  }
}
