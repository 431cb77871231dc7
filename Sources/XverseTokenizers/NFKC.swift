// NFKC.swift -- Unicode normalization form KC (UAX #15), the normalizer of the first XVERSE-13B: compatibility
// characters become ordinary ones, and marks unite with their letters.

import XverseCore

/// Brings texts into NFKC as of Unicode 9.0, which is what Hugging Face's library implements: a character that is
/// younger stays as it is.
///
/// A byte that is not UTF-8 is a character that nothing unites with. Memory: what the longest run of marks takes.
struct NFKC: ~Copyable {
  /// Most times that a text grows: U+FDFA has 3 bytes, its decomposition 33.
  static let growth = 11

  /// A character without a decomposition.
  private struct Unit: BitwiseCopyable {
    /// A code point, or for a byte that is part of none, `firstByte` and the byte.
    var value: UInt32
    let properties: NormalizationClass
    /// How many characters of the text the unit stands for. The first of a decomposition stands for the character,
    /// the others for none.
    var characterCount: UInt16
  }

  private static let firstByte: UInt32 = 0x11_0000

  /// What is not written yet: a starter that is inert, if there is one, and the rest until the next such.
  private var pending: Buffer<Unit>
  private var sorted: Buffer<Unit>
  /// For each rank of a combining class, where the next unit with it belongs.
  private var places: Buffer<Int>
  /// Where the characters of `pending` begin in the text.
  private var pendingStart = 0
  /// How many of the bytes written are leading ones.
  private var leadingCount = 0

  init(allocator: MemoryAllocator) {
    pending = Buffer(allocator: allocator)
    sorted = Buffer(allocator: allocator)
    places = Buffer(allocator: allocator)
  }

  /// Appends the piece in NFKC. Linear.
  ///
  /// - Returns: How many of the appended bytes are leading ones.
  mutating func append(_ piece: TextPiece, to buffer: inout Buffer<UInt8>) throws(XverseError) -> Int {
    let bytes = piece.bytes
    pending.removeAll()
    leadingCount = 0
    // Stable characters are copied in runs, but for the last one, which may unite with what follows.
    var copied = 0
    var last = 0
    var position = 0
    while position < bytes.count {
      let (value, length) = Self.character(in: bytes, at: position)
      if NormalizationClass(value).isStable {
        if !pending.isEmpty {
          try writePending(of: piece, to: &buffer)
          copied = position
        }
        last = position
      } else {
        if pending.isEmpty {
          try copy(piece[copied..<last], to: &buffer)
          pendingStart = last
          if last < position { try decompose(Self.character(in: bytes, at: last).value, of: piece, to: &buffer) }
        }
        try decompose(value, of: piece, to: &buffer)
      }
      position += length
    }
    if pending.isEmpty {
      try copy(piece[copied..<bytes.count], to: &buffer)
    } else {
      try writePending(of: piece, to: &buffer)
    }
    return leadingCount
  }

  private static func character(
    in bytes: UnsafeRawBufferPointer, at position: Int
  ) -> (value: UInt32, length: Int) {
    guard let length = UTF8Scalar.length(in: bytes, at: position) else {
      return (firstByte + UInt32(bytes[position]), 1)
    }
    return (UTF8Scalar.value(in: bytes, at: position, length: length), length)
  }

  private mutating func copy(_ piece: TextPiece, to buffer: inout Buffer<UInt8>) throws(XverseError) {
    try buffer.append(bytes: piece.bytes)
    leadingCount += piece.leading(in: 0..<piece.bytes.count)
  }

  private mutating func decompose(
    _ value: UInt32, of piece: TextPiece, to buffer: inout Buffer<UInt8>
  ) throws(XverseError) {
    let properties = NormalizationClass(value)
    guard let places = properties.decomposition else {
      return try push(Unit(value: value, properties: properties, characterCount: 1), of: piece, to: &buffer)
    }
    for place in places {
      let value = NormalizationClass.decomposedScalar(at: place)
      let unit = Unit(
        value: value, properties: NormalizationClass(value), characterCount: place == places.lowerBound ? 1 : 0)
      try push(unit, of: piece, to: &buffer)
    }
  }

  private mutating func push(
    _ unit: Unit, of piece: TextPiece, to buffer: inout Buffer<UInt8>
  ) throws(XverseError) {
    if unit.properties.isInert { try writePending(of: piece, to: &buffer) }
    try pending.append(unit)
  }

  // MARK: a segment

  private mutating func writePending(of piece: TextPiece, to buffer: inout Buffer<UInt8>) throws(XverseError) {
    try sortMarks()
    compose()
    for unit in pending.elements {
      let start = buffer.count
      if let scalar = Unicode.Scalar(unit.value) {
        let encoded = EncodedScalar(scalar)
        for i in 0..<encoded.count { try buffer.append(encoded[i]) }
      } else {
        try buffer.append(UInt8(truncatingIfNeeded: unit.value))
      }
      // As in Hugging Face's library a unit belongs to the next character of the text that has none yet, whichever it
      // comes from; one that stands for none belongs to the character before.
      let origin = unit.characterCount > 0 ? pendingStart : pendingStart - 1
      if origin < piece.leadingCount { leadingCount += buffer.count - start }
      for _ in 0..<unit.characterCount {
        pendingStart += UTF8Scalar.characterLength(in: piece.bytes, at: pendingStart)
      }
    }
    pending.removeAll()
  }

  /// Sorts each run of marks by combining class and leaves equal ones in their order (Unicode 9.0, definition D109).
  private mutating func sortMarks() throws(XverseError) {
    var start = 0
    while start < pending.count {
      var end = start
      var isSorted = true
      while end < pending.count, pending[end].properties.rank > 0 {
        if end > start && pending[end].properties.rank < pending[end - 1].properties.rank { isSorted = false }
        end += 1
      }
      if !isSorted { try sort(start..<end) }
      start = end + 1
    }
  }

  /// Counting sort.
  private mutating func sort(_ range: Range<Int>) throws(XverseError) {
    sorted.removeAll()
    try sorted.append(contentsOf: UnsafeBufferPointer(rebasing: pending.elements[range]))
    places.removeAll()
    for _ in 0..<NormalizationClass.rankCount { try places.append(0) }
    for unit in sorted.elements { places[Int(unit.properties.rank)] += 1 }
    var place = range.lowerBound
    for rank in 0..<places.count {
      let count = places[rank]
      places[rank] = place
      place += count
    }
    for unit in sorted.elements {
      let rank = Int(unit.properties.rank)
      pending[places[rank]] = unit
      places[rank] += 1
    }
  }

  /// Unites the units with the last starter before them unless one between them blocks it (Unicode 9.0, definitions
  /// D115 and D117).
  private mutating func compose() {
    var starter: Int?
    var kept = 0
    for index in 0..<pending.count {
      let unit = pending[index]
      if let starter, unit.properties.unitesBackward,
        kept == starter + 1 || pending[kept - 1].properties.rank < unit.properties.rank,
        let composite = NormalizationClass.composition(pending[starter].value, unit.value)
      {
        pending[starter].value = composite
        pending[starter].characterCount += unit.characterCount
        continue
      }
      if unit.properties.rank == 0 { starter = kept }
      pending[kept] = unit
      kept += 1
    }
    pending.truncate(to: kept)
  }
}
