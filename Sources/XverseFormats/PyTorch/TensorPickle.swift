// TensorPickle.swift -- the pickle in a file of torch.save, read without Python's machine: values are recognized by their
// patterns, and nothing is ever called.

import XverseCore

/// A pickle that was read to its end: the dictionary in it and the tensors under their names.
///
/// Threads: one. The bytes must stay in place as long as it is used.
struct TensorPickle: ~Copyable {
  /// Longest pickle accepted: for as many tensors as a checkpoint may have, with names of 200 bytes.
  static let maximumLength = 64 << 20
  static let maximumMemoCount = 1 << 20
  static let maximumStackCount = 1 << 20
  static let maximumMarkCount = 1 << 10

  /// What was seen in a dictionary.
  enum Contents: BitwiseCopyable {
    case none
    case others
    case tensors
  }

  /// A tensor or a dictionary under its key.
  struct Item: BitwiseCopyable {
    let dictionary: UInt32
    let key: PickleText
    let value: PickleValue
  }

  /// The file and the pickle in it, for messages.
  let source: String
  var reader: ByteReader
  var stack: Buffer<PickleValue>
  private var marks: Buffer<Int>
  private var memo: Buffer<PickleValue>
  /// The elements of all tuples.
  var elements: Buffer<PickleValue>
  /// Of each dictionary.
  var contents: Buffer<Contents>
  var items: Buffer<Item>
  /// What the pickle holds.
  private(set) var root = PickleValue.other

  /// Reads `bytes` up to STOP. O(n).
  ///
  /// Memory: from `allocator`, at most 64 times the bytes.
  ///
  /// - Throws: `unsafe` for a global that no tensor needs and for an opcode that could call one; `unsupported` for tensors of
  ///   other types and for a later version of the format; `corrupt`, `limit`, `outOfMemory`.
  init(_ bytes: UnsafeRawBufferPointer, source: String, allocator: MemoryAllocator) throws(XverseError) {
    self.source = source
    reader = ByteReader(bytes, source: source)
    stack = Buffer(allocator: allocator)
    marks = Buffer(allocator: allocator)
    memo = Buffer(allocator: allocator)
    elements = Buffer(allocator: allocator)
    contents = Buffer(allocator: allocator)
    items = Buffer(allocator: allocator)
    guard bytes.count <= Self.maximumLength else {
      throw .limit("\(source) has \(bytes.count) bytes, expected at most \(Self.maximumLength)")
    }
    while true {
      let place = reader.position
      let byte = try reader.readInteger(UInt8.self, "an opcode")
      guard let opcode = PickleOpcode(rawValue: byte) else { throw try refusal(of: byte, at: place) }
      if opcode == .stop { break }
      if let value = try literal(opcode) {
        try push(value)
      } else {
        try perform(opcode, at: place)
      }
    }
    root = try pop()
    guard stack.isEmpty, marks.isEmpty else { throw fault("STOP leaves values on the stack", at: reader.position - 1) }
  }

  // MARK: what an opcode does

  /// The value that stands behind `opcode` in the pickle; nil when it does something else.
  private mutating func literal(_ opcode: PickleOpcode) throws(XverseError) -> PickleValue? {
    switch opcode {
    case .none, .newTrue, .newFalse: return .other
    case .binInt: return .integer(Int(try reader.readInteger(Int32.self, "an integer")))
    case .binInt1: return .integer(Int(try reader.readInteger(UInt8.self, "an integer")))
    case .binInt2: return .integer(Int(try reader.readInteger(UInt16.self, "an integer")))
    case .long1: return try integer(count: Int(reader.readInteger(UInt8.self, "a length")))
    case .long4: return try integer(count: Int(reader.readInteger(Int32.self, "a length")))
    case .binFloat: return try skip(8)
    case .shortBinBytes: return try skip(Int(reader.readInteger(UInt8.self, "a length")))
    case .binBytes: return try skip(Int(reader.readInteger(UInt32.self, "a length")))
    case .binBytes8: return try skip(Int(clamping: reader.readInteger(UInt64.self, "a length")))
    case .shortBinUnicode: return try text(count: Int(reader.readInteger(UInt8.self, "a length")))
    case .binUnicode: return try text(count: Int(reader.readInteger(UInt32.self, "a length")))
    case .binUnicode8: return try text(count: Int(clamping: reader.readInteger(UInt64.self, "a length")))
    case .emptyTuple: return .tuple(start: 0, count: 0)
    case .emptyList: return .list
    case .emptyDict: return try newDictionary()
    case .binGet: return try memory(Int(reader.readInteger(UInt8.self, "a memo number")))
    case .longBinGet: return try memory(Int(reader.readInteger(UInt32.self, "a memo number")))
    default: return nil
    }
  }

  private mutating func perform(_ opcode: PickleOpcode, at place: Int) throws(XverseError) {
    switch opcode {
    case .version: try checkVersion()
    case .frame: _ = try reader.readBytes(8, "a frame")
    case .mark: try pushMark()
    case .tuple: try makeTuple(from: popMark())
    case .tuple1: try makeTuple(count: 1)
    case .tuple2: try makeTuple(count: 2)
    case .tuple3: try makeTuple(count: 3)
    case .binPut: try remember(at: Int(reader.readInteger(UInt8.self, "a memo number")))
    case .longBinPut: try remember(at: Int(reader.readInteger(UInt32.self, "a memo number")))
    case .memoize: try remember(at: memo.count)
    case .append: try appendItems(from: stack.count - 1)
    case .appends: try appendItems(from: popMark())
    case .setItem: try setItems(from: stack.count - 2)
    case .setItems: try setItems(from: popMark())
    case .build: try build()
    case .global: try pushGlobal(module: readLine(), name: readLine(), at: place)
    case .stackGlobal: try pushStackGlobal(at: place)
    case .binPersistentID: try makeStorage(at: place)
    case .reduce: try reduce(at: place)
    default: throw fault("an opcode out of place", at: place)
    }
  }

  private mutating func checkVersion() throws(XverseError) {
    let version = try reader.readInteger(UInt8.self, "a version")
    guard version <= 5 else {
      throw .unsupported("\(source) is written in version \(version) of pickle, expected at most 5")
    }
  }

  private mutating func skip(_ count: Int) throws(XverseError) -> PickleValue {
    _ = try reader.readBytes(count, "a value")
    return .other
  }

  /// A little-endian integer of `count` bytes in two's complement.
  private mutating func integer(count: Int) throws(XverseError) -> PickleValue {
    let bytes = try reader.readBytes(count, "an integer")
    guard count <= MemoryLayout<Int>.size else { return .other }
    let isNegative = bytes.last.map { $0 & 0x80 != 0 } ?? false
    return .integer(bytes.reversed().reduce(isNegative ? -1 : 0) { $0 << 8 | Int($1) })
  }

  private mutating func text(count: Int) throws(XverseError) -> PickleValue {
    let start = reader.position
    _ = try reader.readBytes(count, "a string")
    // Both are within the bytes, of which there are fewer than 2^32.
    return .text(PickleText(start: UInt32(start), count: UInt32(count)))
  }

  mutating func newDictionary() throws(XverseError) -> PickleValue {
    try contents.append(.none)
    return .dictionary(UInt32(contents.count - 1))
  }

  // MARK: stack and memo

  mutating func push(_ value: PickleValue) throws(XverseError) {
    guard stack.count < Self.maximumStackCount else {
      throw .limit("\(source) has more than \(Self.maximumStackCount) values on its stack", offset: reader.position)
    }
    try stack.append(value)
  }

  /// The number of values on the stack that lie below the last mark.
  private var floor: Int { marks.isEmpty ? 0 : marks[marks.count - 1] }

  mutating func pop() throws(XverseError) -> PickleValue {
    let value = try top()
    stack.truncate(to: stack.count - 1)
    return value
  }

  func top() throws(XverseError) -> PickleValue {
    guard stack.count > floor else { throw fault("a value is missing on the stack", at: reader.position) }
    return stack[stack.count - 1]
  }

  private mutating func pushMark() throws(XverseError) {
    guard marks.count < Self.maximumMarkCount else {
      throw .limit("\(source) is nested more than \(Self.maximumMarkCount) deep", offset: reader.position)
    }
    try marks.append(stack.count)
  }

  /// Where the values behind the last mark start.
  private mutating func popMark() throws(XverseError) -> Int {
    guard !marks.isEmpty else { throw fault("a mark is missing", at: reader.position) }
    let start = floor
    marks.truncate(to: marks.count - 1)
    return start
  }

  private mutating func makeTuple(count: Int) throws(XverseError) {
    guard stack.count - floor >= count else { throw fault("a value is missing on the stack", at: reader.position) }
    try makeTuple(from: stack.count - count)
  }

  private mutating func makeTuple(from start: Int) throws(XverseError) {
    let first = elements.count
    for index in start..<stack.count { try elements.append(stack[index]) }
    stack.truncate(to: start)
    // Every element took a byte of the pickle at least, of which there are fewer than 2^32.
    try push(.tuple(start: UInt32(first), count: UInt32(elements.count - first)))
  }

  /// The value below `start`, which what lies from there on goes into.
  func container(below start: Int) throws(XverseError) -> PickleValue {
    guard start > floor else { throw fault("a value is missing on the stack", at: reader.position) }
    return stack[start - 1]
  }

  /// Pickles number their memo in order; so does the memory that it takes.
  private mutating func remember(at number: Int) throws(XverseError) {
    let value = try top()
    guard number <= memo.count else {
      throw fault("memo number \(number) comes before \(memo.count)", at: reader.position)
    }
    guard number < Self.maximumMemoCount else {
      throw .limit("\(source) remembers more than \(Self.maximumMemoCount) values", offset: reader.position)
    }
    if number == memo.count { try memo.append(value) } else { memo[number] = value }
  }

  private func memory(_ number: Int) throws(XverseError) -> PickleValue {
    guard number < memo.count else { throw fault("memo number \(number) was never set", at: reader.position) }
    return memo[number]
  }

  // MARK: globals

  /// A line of a GLOBAL.
  private mutating func readLine() throws(XverseError) -> UnsafeRawBufferPointer {
    let start = reader.position
    while try reader.readInteger(UInt8.self, "a name") != UInt8(ascii: "\n") {}
    return try reader.slice(at: start, count: reader.position - 1 - start, "a name")
  }

  private mutating func pushStackGlobal(at place: Int) throws(XverseError) {
    guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
      throw fault("a global has no names", at: place)
    }
    try pushGlobal(module: bytes(of: module), name: bytes(of: name), at: place)
  }

  private mutating func pushGlobal(
    module: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer, at place: Int
  ) throws(XverseError) {
    guard let global = PickleGlobal(module: module, name: name) else {
      if PickleGlobal.isOfOtherTensors(module: module, name: name) {
        throw .unsupported(
          "\(source) asks for '\(Self.text(module, name))' at byte \(place), for tensors of another kind than F32, F16 and BF16: "
            + "save the model in one of these types")
      }
      throw unsafeGlobal(module: module, name: name, at: place)
    }
    try push(.global(global))
  }

  private func unsafeGlobal(
    module: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer, at place: Int
  ) -> XverseError {
    return .unsafe(
      "\(source) asks for '\(Self.text(module, name))' at byte \(place), which Python would run: expected only what tensors need",
      offset: place)
  }

  private static func text(_ module: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer) -> String {
    [module, name].map { String(decoding: $0.prefix(200), as: UTF8.self) }.joined(separator: ".").inMessage
  }

  private mutating func refusal(of byte: UInt8, at place: Int) throws(XverseError) -> XverseError {
    if byte == PickleOpcode.instance { return unsafeGlobal(module: try readLine(), name: try readLine(), at: place) }
    guard let name = PickleOpcode.refusedName(byte) else {
      return fault("byte \(byte) is no opcode of pickle", at: place)
    }
    return .unsafe(
      "\(source) has the opcode \(name) at byte \(place), expected only those with which torch.save writes tensors",
      offset: place)
  }

  func bytes(of text: PickleText) throws(XverseError) -> UnsafeRawBufferPointer {
    try reader.slice(at: Int(text.start), count: Int(text.count), "a string")
  }

  func fault(_ what: String, at place: Int) -> XverseError {
    .corrupt("\(source): \(what) at byte \(place)", offset: place)
  }
}
