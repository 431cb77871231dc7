// SafetensorsHeader.swift -- the header of a safetensors file (github.com/huggingface/safetensors, "Format"): 8 bytes
// of length, a JSON object, then the data, which the tensors must fill without gap or overlap.

import XverseCore

/// One header under examination.
struct SafetensorsHeader: ~Copyable {
  /// Longest header that the format allows.
  static let maximumLength = 100_000_000
  private static let lengthBytes = 8

  private let fileName: String
  private let fileNumber: Int
  /// Where the data begin in the file, and how long they are.
  private let dataStart: Int
  private let dataLength: Int
  private let allocator: MemoryAllocator
  private let bytes: Buffer<UInt8>

  /// Reads the header of `file`, whose entries will carry the number `fileNumber`.
  ///
  /// Memory: the header, from `allocator`; nothing of the data is touched.
  init(of file: borrowing InputFile, number fileNumber: Int, allocator: MemoryAllocator) throws(XverseError) {
    let length = try Self.readLength(of: file)
    let start = Self.lengthBytes
    // Blanks stand in for the length, so that the offsets of JSON faults are offsets in the file.
    let bytes = try Buffer<UInt8>(repeating: UInt8(ascii: " "), count: start + length, allocator: allocator)
    let text = UnsafeMutableRawBufferPointer(bytes.mutableElements)[start...]
    try file.read(into: UnsafeMutableRawBufferPointer(rebasing: text), at: start)
    guard bytes[start] == UInt8(ascii: "{") else {
      throw .corrupt("\(file.name): the header begins with byte \(bytes[start]), expected '{'", offset: start)
    }
    self.bytes = bytes
    self.fileName = file.name
    self.fileNumber = fileNumber
    self.allocator = allocator
    dataStart = start + length
    dataLength = file.length - dataStart
  }

  /// Checks the header as a whole and adds its tensors to `table`. O(n log n).
  ///
  /// - Throws: `corrupt`; `unsupported` for an unknown dtype; `limit` for too many tensors. `table` is then of no use.
  func addTensors(to table: inout TensorTable) throws(XverseError) {
    defer { withExtendedLifetime(bytes) {} }
    let document = try JSONDocument(
      UnsafeRawBufferPointer(bytes.elements), source: fileName, allocator: allocator)
    let first = table.entries.count
    for (name, value) in document.root.members {
      if name.equals("__metadata__") {
        try checkMetadata(value)
        continue
      }
      guard table.entries.count < TensorTable.maximumCount else {
        throw .limit("\(fileName): more than \(TensorTable.maximumCount) tensors", offset: value.offset)
      }
      try addTensor(name, value, to: &table)
    }
    try checkLayout(of: table, from: first)
  }

  private static func readLength(of file: borrowing InputFile) throws(XverseError) -> Int {
    guard file.length >= lengthBytes else {
      throw .corrupt(
        "\(file.name): the file has \(file.length) bytes, expected at least \(lengthBytes) of a safetensors header")
    }
    var bytes: UInt64 = 0
    let available = file.length - lengthBytes
    return try withUnsafeMutableBytes(of: &bytes) { (buffer) throws(XverseError) in
      try file.read(into: buffer, at: 0)
      var reader = ByteReader(UnsafeRawBufferPointer(buffer), source: file.name)
      let written = try reader.readInteger(UInt64.self, "the header length")
      guard let length = Int(exactly: written), length > 0, length <= min(available, maximumLength) else {
        throw .corrupt(
          "\(file.name): the header length is \(written), expected 1 to \(min(available, maximumLength)) "
            + "in a file of \(file.length) bytes", offset: 0)
      }
      return length
    }
  }

  private func checkMetadata(_ value: JSONValue) throws(XverseError) {
    guard value.kind == .object else {
      throw .corrupt(
        "\(fileName): '__metadata__' is \(value.kind.rawValue), expected an object of strings", offset: value.offset)
    }
    for (key, text) in value.members where text.kind != .string {
      throw .corrupt(
        "\(fileName): '\(key.snippet.inMessage)' of '__metadata__' is \(text.kind.rawValue), expected a string",
        offset: text.offset)
    }
  }

  // MARK: one tensor

  private func addTensor(_ name: JSONString, _ value: JSONValue, to table: inout TensorTable) throws(XverseError) {
    guard value.kind == .object else { throw fault(name, value, "is \(value.kind.rawValue), expected an object") }
    guard let dtypeName = value["dtype"]?.string else { throw fault(name, value, "has no 'dtype' that is a string") }
    guard let dtype = ElementType(rawValue: dtypeName) else {
      throw .unsupported(
        "\(fileName): tensor '\(name.text.inMessage)' has dtype '\(dtypeName.inMessage)', which is not known")
    }
    let shape = try shape(of: name, value)
    let (begin, end) = try range(of: name, value)
    guard let byteCount = Self.byteCount(of: shape, dtype) else {
      throw fault(name, value, "has shape \(shape) of \(dtype.rawValue), which is no number of bytes")
    }
    guard end - begin == byteCount else {
      throw fault(
        name, value, "has \(end - begin) bytes of data, expected \(byteCount) for shape \(shape) of \(dtype.rawValue)")
    }
    try table.add(
      name, encoding: .elements(dtype), shape: shape, file: fileNumber, begin: dataStart + begin, byteCount: byteCount)
  }

  private func shape(of name: JSONString, _ value: JSONValue) throws(XverseError) -> [Int] {
    guard let list = value["shape"], list.kind == .array else {
      throw fault(name, value, "has no 'shape' that is an array")
    }
    var shape: [Int] = []
    for element in list.elements {
      guard let dimension = element.int, dimension >= 0 else {
        throw fault(name, element, "has dimension \(element.snippet.inMessage), expected an integer of at least 0")
      }
      guard shape.count < TensorTable.maximumRank else {
        throw .limit(
          "\(fileName): tensor '\(name.text.inMessage)' has more than \(TensorTable.maximumRank) dimensions",
          offset: list.offset)
      }
      shape.append(dimension)
    }
    return shape
  }

  private func range(of name: JSONString, _ value: JSONValue) throws(XverseError) -> (begin: Int, end: Int) {
    guard let list = value["data_offsets"], list.kind == .array else {
      throw fault(name, value, "has no 'data_offsets' that are an array")
    }
    var offsets = list.elements
    guard let first = offsets.next(), let second = offsets.next(), offsets.next() == nil,
      let begin = first.int, let end = second.int, 0 <= begin, begin <= end
    else {
      throw fault(
        name, list,
        "has data_offsets \(list.snippet.inMessage), expected [begin, end] with 0 <= begin <= end <= \(dataLength)")
    }
    guard end <= dataLength else {
      throw fault(name, list, "ends at byte \(end) of the data, expected at most \(dataLength): the file is truncated")
    }
    return (begin, end)
  }

  /// The size of a tensor in bytes; nil when it passes Int or is no whole number.
  private static func byteCount(of shape: [Int], _ dtype: ElementType) -> Int? {
    var bits = dtype.bits
    for dimension in shape {
      let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
      guard !overflow else { return nil }
      bits = product
    }
    return bits % 8 == 0 ? bits / 8 : nil
  }

  // MARK: all tensors

  /// Checks that the entries from `first` on lie one behind the other and fill the data.
  private func checkLayout(of table: borrowing TensorTable, from first: Int) throws(XverseError) {
    var order = Buffer<UInt32>(allocator: allocator)
    for number in first..<table.entries.count { try order.append(UInt32(number)) }
    let entries = table.entries.elements
    var view = order.mutableElements
    view.sort { left, right in
      let (l, r) = (entries[Int(left)], entries[Int(right)])
      return (l.begin, l.byteCount) < (r.begin, r.byteCount)
    }
    var end = dataStart
    for number in order.elements {
      let entry = entries[Int(number)]
      guard entry.begin == end else {
        throw .corrupt(
          "\(fileName): tensor '\(table.name(of: Int(number)).inMessage)' "
            + "begins at byte \(entry.begin - dataStart) of the data, expected \(end - dataStart), "
            + "where the tensor before it ends: the data must have no hole and no overlap",
          offset: entry.begin)
      }
      end += entry.byteCount
    }
    guard end == dataStart + dataLength else {
      throw .corrupt(
        "\(fileName): the tensors end at byte \(end - dataStart) of the data, expected \(dataLength)",
        offset: end)
    }
  }

  private func fault(_ name: JSONString, _ place: JSONValue, _ what: String) -> XverseError {
    .corrupt("\(fileName): tensor '\(name.text.inMessage)' \(what)", offset: place.offset)
  }
}
