// TensorTable.swift -- which tensor lies where in which file: the index of a checkpoint, kept in memory
// that can say no.

import Glibc
import XverseCore

/// The tensors of a checkpoint's files, found by name in O(log n) once `sort` was called.
struct TensorTable: ~Copyable {
  struct Entry: BitwiseCopyable {
    fileprivate var nameStart: Int
    fileprivate var nameLength: Int
    fileprivate let shapeStart: Int
    fileprivate let rank: Int
    /// Whether strides follow the shape.
    fileprivate let isStrided: Bool
    let encoding: TensorEncoding
    /// Number of the file, and the tensor's place in it in bytes from the file's start.
    let file: Int
    let begin: Int
    let byteCount: Int
  }

  /// Most tensors of a checkpoint: ten times what the largest mixture of experts has.
  static let maximumCount = 100_000
  static let maximumRank = 8
  /// Longest name in bytes that `rename` looks at; a weight's has some dozens.
  private static let longestRenamed = 512

  private(set) var entries: Buffer<Entry>
  private var names: Buffer<UInt8>
  private var dimensions: Buffer<Int>
  /// Numbers of entries in the order of their names' bytes; what `keepLast` left out is not among them.
  private(set) var order: Buffer<UInt32>

  init(allocator: MemoryAllocator) {
    entries = Buffer(allocator: allocator)
    names = Buffer(allocator: allocator)
    dimensions = Buffer(allocator: allocator)
    order = Buffer(allocator: allocator)
  }

  /// - Parameter strides: Elements between neighbours of each dimension; nil for the row-major order.
  mutating func add(
    _ name: JSONString, encoding: TensorEncoding, shape: [Int], strides: [Int]? = nil, file: Int, begin: Int,
    byteCount: Int
  ) throws(XverseError) {
    let nameStart = names.count
    try name.append(to: &names)
    try add(nameStart, encoding, shape, strides, file, begin, byteCount)
  }

  /// The same for a name that stands as it is in a file.
  mutating func add(
    _ name: UnsafeRawBufferPointer, encoding: TensorEncoding, shape: [Int], strides: [Int]? = nil, file: Int,
    begin: Int, byteCount: Int
  ) throws(XverseError) {
    let nameStart = names.count
    try names.append(bytes: name)
    try add(nameStart, encoding, shape, strides, file, begin, byteCount)
  }

  private mutating func add(
    _ nameStart: Int, _ encoding: TensorEncoding, _ shape: [Int], _ strides: [Int]?, _ file: Int, _ begin: Int,
    _ byteCount: Int
  ) throws(XverseError) {
    let shapeStart = dimensions.count
    for dimension in shape { try dimensions.append(dimension) }
    for stride in strides ?? [] { try dimensions.append(stride) }
    try entries.append(
      Entry(
        nameStart: nameStart, nameLength: names.count - nameStart, shapeStart: shapeStart, rank: shape.count,
        isStrided: strides != nil, encoding: encoding, file: file, begin: begin, byteCount: byteCount))
  }

  func name(of number: Int) -> String { String(decoding: nameBytes(of: number), as: UTF8.self) }

  func shape(of number: Int) -> [Int] {
    let entry = entries[number]
    return Array(dimensions.elements[entry.shapeStart..<entry.shapeStart + entry.rank])
  }

  func strides(of number: Int) -> [Int]? {
    let entry = entries[number]
    guard entry.isStrided else { return nil }
    let start = entry.shapeStart + entry.rank
    return Array(dimensions.elements[start..<start + entry.rank])
  }

  /// Orders the entries by name, those of one name by file. O(n log n).
  mutating func sort() throws(XverseError) {
    order.removeAll()
    for number in 0..<entries.count { try order.append(UInt32(number)) }
    sortOrder()
  }

  private mutating func sortOrder() {
    let entries = entries.elements
    let names = names.elements
    var view = order.mutableElements
    view.sort { left, right in
      let (l, r) = (entries[Int(left)], entries[Int(right)])
      let comparison = Self.compare(Self.bytes(of: l, in: names), Self.bytes(of: r, in: names))
      return comparison == 0 ? l.file < r.file : comparison < 0
    }
  }

  /// Two neighbours in `order` that have the same name, of those for which `isWanted`; nil for none. O(n).
  func repetition(where isWanted: (_ first: Entry, _ second: Entry) -> Bool) -> (Int, Int)? {
    for place in order.elements.indices.dropFirst() {
      let (first, second) = (Int(order[place - 1]), Int(order[place]))
      if isWanted(entries[first], entries[second]), haveOneName(first, second) { return (first, second) }
    }
    return nil
  }

  /// Of the entries with one name leaves only that of the last file in the order. O(n).
  ///
  /// - Returns: How many entries are left out.
  mutating func keepLast() -> Int {
    let view = order.mutableElements
    var count = 0
    for place in view.indices {
      if count > 0, haveOneName(Int(view[count - 1]), Int(view[place])) { count -= 1 }
      view[count] = view[place]
      count += 1
    }
    let dropped = view.count - count
    order.truncate(to: count)
    return dropped
  }

  private func haveOneName(_ first: Int, _ second: Int) -> Bool {
    Self.compare(nameBytes(of: first), nameBytes(of: second)) == 0
  }

  /// A name that an entry is to get.
  private struct Renaming: BitwiseCopyable {
    let number: Int
    /// Where the entry stands in `order`.
    let place: Int
    let nameStart: Int
    let nameLength: Int
  }

  /// Renames tensors: each name that `newName` returns goes to the first tensor it is returned for, unless a tensor has
  /// that name. Names of more than `longestRenamed` bytes stay.
  ///
  /// - Returns: How many were renamed, and the first of them; nil for none. The table is sorted again.
  mutating func rename(
    _ newName: (_ name: String) -> String?
  ) throws(XverseError) -> (count: Int, from: String, to: String)? {
    var renamings = Buffer<Renaming>(allocator: entries.allocator)
    var first: (from: String, to: String)?
    for place in 0..<order.count {
      let number = Int(order[place])
      guard entries[number].nameLength <= Self.longestRenamed else { continue }
      let old = name(of: number)
      guard let new = newName(old), new != old, self.number(of: new) == nil else { continue }
      let nameStart = names.count
      try names.append(utf8: new)
      try renamings.append(
        Renaming(number: number, place: place, nameStart: nameStart, nameLength: names.count - nameStart))
      if first == nil { first = (old, new) }
    }
    guard let first else { return nil }
    let count = apply(&renamings)
    sortOrder()
    return (count, first.from, first.to)
  }

  /// Returns how many took effect: of those with one name the first in `order`.
  private mutating func apply(_ renamings: inout Buffer<Renaming>) -> Int {
    let names = names.elements
    func bytes(_ renaming: Renaming) -> UnsafeBufferPointer<UInt8> {
      UnsafeBufferPointer(rebasing: names[renaming.nameStart..<renaming.nameStart + renaming.nameLength])
    }
    var view = renamings.mutableElements
    view.sort { left, right in
      let comparison = Self.compare(bytes(left), bytes(right))
      return comparison == 0 ? left.place < right.place : comparison < 0
    }
    var count = 0
    for index in 0..<renamings.count {
      let renaming = renamings[index]
      if index > 0, Self.compare(bytes(renamings[index - 1]), bytes(renaming)) == 0 { continue }
      entries[renaming.number].nameStart = renaming.nameStart
      entries[renaming.number].nameLength = renaming.nameLength
      count += 1
    }
    return count
  }

  /// The entry called `name`; nil when there is none.
  func number(of name: String) -> Int? {
    var name = name
    return name.withUTF8 { wanted in
      var low = 0
      var high = order.count
      while low < high {
        let middle = low + (high - low) / 2
        let number = Int(order[middle])
        let comparison = Self.compare(nameBytes(of: number), wanted)
        if comparison == 0 { return number }
        if comparison < 0 { low = middle + 1 } else { high = middle }
      }
      return nil
    }
  }

  private func nameBytes(of number: Int) -> UnsafeBufferPointer<UInt8> {
    Self.bytes(of: entries[number], in: names.elements)
  }

  private static func bytes(
    of entry: Entry, in names: UnsafeBufferPointer<UInt8>
  ) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(rebasing: names[entry.nameStart..<entry.nameStart + entry.nameLength])
  }

  /// Negative, zero or positive, as memcmp.
  private static func compare(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
    let common = min(left.count, right.count)
    if common > 0, let l = left.baseAddress, let r = right.baseAddress {
      let difference = memcmp(l, r, common)
      if difference != 0 { return Int(difference) }
    }
    return left.count - right.count
  }
}
