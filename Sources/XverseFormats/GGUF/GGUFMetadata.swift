// GGUFMetadata.swift -- what a GGUF file says about its model: keys and values, checked as a whole and found by name.

import Glibc
import XverseCore

/// The metadata of one file.
///
/// Memory: the header, and a third of it again for where its values stand. Threads: immutable; any number of readers.
package final class GGUFMetadata: @unchecked Sendable {
  struct Entry: BitwiseCopyable {
    let keyStart: Int
    let keyLength: Int
    let value: GGUFValue.Place
  }

  /// Many times what any file has.
  static let maximumCount = 65_536
  private static let maximumAlignment = 65_536

  /// The file's name in messages.
  package let source: String
  private let header: Buffer<UInt8>
  /// Sorted by key.
  private let entries: Buffer<Entry>

  /// - Parameter header: The bytes that the entries point to; they have been checked against it.
  /// - Throws: `corrupt` for a key that stands twice.
  init(
    _ entries: consuming Buffer<Entry>, header: consuming Buffer<UInt8>, source: String
  ) throws(XverseError) {
    let bytes = UnsafeRawBufferPointer(header.elements)
    var view = entries.mutableElements
    view.sort { Self.compare(Self.key($0, bytes), Self.key($1, bytes)) < 0 }
    for index in view.indices.dropFirst()
    where Self.compare(Self.key(view[index - 1], bytes), Self.key(view[index], bytes)) == 0 {
      let key = String(decoding: Self.key(view[index], bytes), as: UTF8.self)
      throw .corrupt("\(source): the key '\(key.inMessage)' stands there twice", offset: view[index].keyStart)
    }
    self.source = source
    self.header = header
    self.entries = entries
  }

  /// The value of `key`; nil when there is none. O(log n).
  package subscript(key: String) -> GGUFValue? {
    var key = key
    return key.withUTF8 { wanted in
      var low = 0
      var high = entries.count
      while low < high {
        let middle = low + (high - low) / 2
        let entry = entries[middle]
        let comparison = Self.compare(
          Self.key(entry, UnsafeRawBufferPointer(header.elements)), UnsafeRawBufferPointer(wanted))
        if comparison == 0 { return GGUFValue(self, entry.value) }
        if comparison < 0 { low = middle + 1 } else { high = middle }
      }
      return nil
    }
  }

  /// All values whose keys begin with `prefix`, in the order of the keys' bytes.
  package func values(withPrefix prefix: String) -> [(key: String, value: GGUFValue)] {
    var found: [(key: String, value: GGUFValue)] = []
    for entry in entries.elements {
      let key = Self.key(entry, UnsafeRawBufferPointer(header.elements))
      guard key.starts(with: prefix.utf8) else { continue }
      found.append((String(decoding: key, as: UTF8.self), GGUFValue(self, entry.value)))
    }
    return found
  }

  /// To what multiples the data and each tensor are aligned.
  func alignment() throws(XverseError) -> Int {
    let key = "general.alignment"
    guard let value = self[key] else { return 32 }
    guard value.isUnsigned32, let alignment = value.integer, (1...Self.maximumAlignment).contains(alignment),
      alignment & (alignment - 1) == 0
    else {
      throw .corrupt(
        "\(source): '\(key)' is \(value.description), expected a power of two up to \(Self.maximumAlignment) of type uint32",
        offset: value.offset)
    }
    return alignment
  }

  /// The part of the header that a value stands in.
  func bytes(at start: Int, count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(header.elements)[start..<start + count])
  }

  private static func key(_ entry: Entry, _ header: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: header[entry.keyStart..<entry.keyStart + entry.keyLength])
  }

  /// Negative, zero or positive, as memcmp.
  private static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let common = min(left.count, right.count)
    if common > 0, let l = left.baseAddress, let r = right.baseAddress {
      let difference = memcmp(l, r, common)
      if difference != 0 { return Int(difference) }
    }
    return left.count - right.count
  }
}
