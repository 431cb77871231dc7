// GGUFHeader.swift -- the header of a GGUF file (ggml, docs/gguf.md), versions 2 and 3: magic, counts, metadata, tensors; then
// the data, aligned. Everything is checked before any of the data is looked at.

import XverseCore
import XverseTensors

/// One header under examination.
///
/// Memory: as `GGUFHeaderBytes` says, and less than ten times the header for tables.
struct GGUFHeader: ~Copyable {
  private static let magic: UInt32 = 0x4655_4747  // "GGUF"
  private static let versions: ClosedRange<UInt32> = 2...3
  /// Longest key that the format allows.
  private static let maximumKeyLength = 65_535
  /// Longest name of a tensor that the format allows.
  private static let maximumNameLength = 64
  /// Least bytes of a pair of key and value, and of the description of a tensor.
  private static let leastPair = 14
  private static let leastTensor = 33

  private let fileNumber: Int
  private let allocator: MemoryAllocator
  private var bytes: GGUFHeaderBytes
  private var entries: Buffer<GGUFMetadata.Entry>
  private var tensors: Buffer<GGUFTensor>

  init(of file: consuming InputFile, number fileNumber: Int, allocator: MemoryAllocator) throws(XverseError) {
    self.fileNumber = fileNumber
    self.allocator = allocator
    entries = Buffer(allocator: allocator)
    tensors = Buffer(allocator: allocator)
    bytes = try GGUFHeaderBytes(of: file, allocator: allocator)
  }

  /// Checks the header as a whole, adds its tensors to `table`, and returns its metadata. O(n log n).
  ///
  /// - Throws: `corrupt`; `unsupported` for an encoding or a version that is not read; `limit`. `table` is then of no use.
  consuming func read(into table: inout TensorTable) throws(XverseError) -> GGUFMetadata {
    let fileName = bytes.fileName
    try readVersion()
    let tensorCount = try bytes.count(GGUFPart("the number of tensors"), of: Self.leastTensor)
    let pairCount = try bytes.count(GGUFPart("the number of keys"), of: Self.leastPair)
    guard pairCount <= GGUFMetadata.maximumCount else {
      throw .limit("\(fileName): \(pairCount) keys, expected at most \(GGUFMetadata.maximumCount)")
    }
    guard table.entries.count + tensorCount <= TensorTable.maximumCount else {
      throw .limit("\(fileName): \(tensorCount) tensors, expected at most \(TensorTable.maximumCount) in all")
    }
    for _ in 0..<pairCount { try readPair() }
    for _ in 0..<tensorCount { try readTensor() }
    let (headerLength, fileLength) = (bytes.position, bytes.fileLength)
    let metadata = try GGUFMetadata(entries, header: bytes.finish(), source: fileName)
    let layout = try GGUFLayout(
      fileName: fileName, fileNumber: fileNumber, headerLength: headerLength, fileLength: fileLength,
      alignment: metadata.alignment())
    try layout.check(&tensors, metadata)
    try layout.add(tensors, metadata, to: &table)
    return metadata
  }

  private mutating func readVersion() throws(XverseError) {
    let fileName = bytes.fileName
    guard try bytes.integer(UInt32.self, GGUFPart("the magic number")) == Self.magic else {
      throw .corrupt("\(fileName): the file does not begin with 'GGUF'", offset: 0)
    }
    let version = try bytes.integer(UInt32.self, GGUFPart("the version"))
    if Self.versions.contains(version) { return }
    let expected = "expected version 2 or 3"
    guard version != 0 else { throw .corrupt("\(fileName): the version is 0, \(expected)", offset: 4) }
    if Self.versions.contains(version.byteSwapped) {
      throw .unsupported("\(fileName): the file is big-endian, expected little-endian")
    }
    throw .unsupported("\(fileName): the version is \(version), \(expected): convert the model again")
  }
}

// MARK: metadata

extension GGUFHeader {
  private mutating func readPair() throws(XverseError) {
    let length = try bytes.count(GGUFPart("the length of a key"), of: 1)
    guard (1...Self.maximumKeyLength).contains(length) else {
      throw .corrupt(
        "\(bytes.fileName): a key has \(length) bytes, expected 1 to \(Self.maximumKeyLength)", offset: bytes.position)
    }
    let start = try bytes.take(length, GGUFPart("a key"))
    let value = try readValue(of: start..<start + length)
    try entries.append(GGUFMetadata.Entry(keyStart: start, keyLength: length, value: value))
  }

  private mutating func readValue(of key: Range<Int>) throws(XverseError) -> GGUFValue.Place {
    let type = try readType(of: key)
    guard type == .array else {
      let start = try readElements(1, type, of: key)
      try requireBool(type, start, key)
      return GGUFValue.Place(
        type: type, elementType: type, count: 1, start: start, byteCount: bytes.position - start)
    }
    let elementType = try readType(of: key)
    guard elementType != .array else {
      throw .unsupported("\(bytes.fileName): '\(name(key))' is an array of arrays, which is not supported")
    }
    let count = try bytes.count(GGUFPart("the length", of: key), of: elementType.size)
    let start = try readElements(count, elementType, of: key)
    return GGUFValue.Place(
      type: .array, elementType: elementType, count: count, start: start, byteCount: bytes.position - start)
  }

  private mutating func readType(of key: Range<Int>) throws(XverseError) -> GGUFValueType {
    let number = try bytes.integer(UInt32.self, GGUFPart("the type", of: key))
    if let type = GGUFValueType(rawValue: number) { return type }
    throw .corrupt(
      "\(bytes.fileName): '\(name(key))' has type \(number), expected 0 to \(GGUFValueType.float64.rawValue)",
      offset: bytes.position - 4)
  }

  /// Moves past the elements; returns where the first one stands: of a single string behind its length.
  private mutating func readElements(
    _ count: Int, _ type: GGUFValueType, of key: Range<Int>
  ) throws(XverseError) -> Int {
    // `count` elements of this size fit in the file.
    guard type == .string else { return try bytes.take(count * type.size, GGUFPart("the value", of: key)) }
    let start = bytes.position
    var text = start
    for index in 0..<count {
      let length = try bytes.count(GGUFPart("the length of text", index, of: key), of: 1)
      text = try bytes.take(length, GGUFPart("text", index, of: key))
    }
    return count == 1 ? text : start
  }

  private func requireBool(_ type: GGUFValueType, _ start: Int, _ key: Range<Int>) throws(XverseError) {
    guard type == .bool, let byte = try bytes.slice(start, 1).first, byte > 1 else { return }
    throw .corrupt("\(bytes.fileName): '\(name(key))' is a bool of value \(byte), expected 0 or 1", offset: start)
  }

  private func name(_ place: Range<Int>) -> String { bytes.name(at: place) }
}

// MARK: tensors

extension GGUFHeader {
  private mutating func readTensor() throws(XverseError) {
    let fileName = bytes.fileName
    let length = try bytes.count(GGUFPart("the length of a tensor's name"), of: 1)
    guard (1...Self.maximumNameLength).contains(length) else {
      throw .corrupt(
        "\(fileName): the name of a tensor has \(length) bytes, expected 1 to \(Self.maximumNameLength)",
        offset: bytes.position)
    }
    let start = try bytes.take(length, GGUFPart("the name of a tensor"))
    let place = start..<start + length
    let rank = try bytes.integer(UInt32.self, GGUFPart("the rank", of: place))
    guard (1...4).contains(rank) else {
      throw .corrupt(
        "\(fileName): tensor '\(name(place))' has \(rank) dimensions, expected 1 to 4", offset: bytes.position)
    }
    var dimensions = (1, 1, 1, 1)
    dimensions.0 = try readDimension(of: place)
    if rank > 1 { dimensions.1 = try readDimension(of: place) }
    if rank > 2 { dimensions.2 = try readDimension(of: place) }
    if rank > 3 { dimensions.3 = try readDimension(of: place) }
    let number = try bytes.integer(UInt32.self, GGUFPart("the type", of: place))
    guard let type = GGMLType(rawValue: number) else { throw unreadable(number, place) }
    let offset = try bytes.integer(UInt64.self, GGUFPart("the offset", of: place))
    try tensors.append(
      GGUFTensor(
        nameStart: start, nameLength: length, rank: Int(rank), dimensions: dimensions, type: type, offset: offset))
  }

  private mutating func readDimension(of tensor: Range<Int>) throws(XverseError) -> Int {
    let number = try bytes.integer(UInt64.self, GGUFPart("a dimension", of: tensor))
    guard let dimension = Int(exactly: number), dimension > 0 else {
      throw .corrupt(
        "\(bytes.fileName): tensor '\(name(tensor))' has dimension \(number), expected 1 to \(Int.max)",
        offset: bytes.position - 8)
    }
    return dimension
  }

  private func unreadable(_ number: UInt32, _ tensor: Range<Int>) -> XverseError {
    let types = GGMLType.allCases.map(\.name).joined(separator: ", ")
    return .unsupported(
      "\(bytes.fileName): tensor '\(name(tensor))' is of type \(GGMLType.name(of: number) ?? "\(number)"), "
        + "expected one of \(types)")
  }
}
