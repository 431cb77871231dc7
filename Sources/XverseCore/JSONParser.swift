// JSONParser.swift -- fills the node list of a JSONDocument in one pass without recursion: containers that are still
// open stand on a stack of bounded depth.

struct JSONParser: ~Copyable {
  private typealias Node = JSONDocument.Node

  private let bytes: UnsafeRawBufferPointer
  private let source: String
  private let dialect: JSONDocument.Dialect
  private let faultCode: XverseError.Code
  private let allocator: MemoryAllocator
  private var position = 0
  private var nodes: Buffer<JSONDocument.Node>
  private var openContainers: [Int] = []
  /// What only Python accepts, at most `maximumWarningCount` of it.
  private(set) var warnings: [String] = []

  private static let maximumWarningCount = 8

  init(
    _ bytes: UnsafeRawBufferPointer, source: String, dialect: JSONDocument.Dialect, faultCode: XverseError.Code,
    allocator: MemoryAllocator
  ) {
    self.bytes = bytes
    self.source = source
    self.dialect = dialect
    self.faultCode = faultCode
    self.allocator = allocator
    self.nodes = Buffer(allocator: allocator)
    openContainers.reserveCapacity(JSONDocument.maximumDepth)
  }

  consuming func takeNodes() -> Buffer<JSONDocument.Node> { nodes }

  mutating func parse() throws(XverseError) {
    guard bytes.count <= JSONDocument.maximumLength else {
      throw .limit("\(source): \(bytes.count) bytes of JSON, expected at most \(JSONDocument.maximumLength)")
    }
    skipWhitespace()
    try parseValue()
    while let container = openContainers.last {
      try parseMember(of: container)
    }
    skipWhitespace()
    guard position == bytes.count else { throw fault("text after the JSON value") }
  }

  // MARK: containers

  /// Parses the next member of the innermost open container, or closes it. A container that the member opens is left
  /// open: the loop in `parse` goes on inside it.
  private mutating func parseMember(of container: Int) throws(XverseError) {
    let isObject = nodes[container].kind == .object
    let close = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
    let isFirst = nodes.count == container + 1
    skipWhitespace()
    if peek() == close {
      position += 1
      return try closeContainer(container)
    }
    if !isFirst {
      guard peek() == UInt8(ascii: ",") else { throw fault(isObject ? "expected ',' or '}'" : "expected ',' or ']'") }
      position += 1
      skipWhitespace()
    }
    if isObject {
      guard peek() == UInt8(ascii: "\"") else { throw fault("expected a key in quotation marks") }
      try parseString()
      skipWhitespace()
      guard peek() == UInt8(ascii: ":") else { throw fault("expected ':'") }
      position += 1
      skipWhitespace()
    }
    try parseValue()
  }

  private mutating func closeContainer(_ container: Int) throws(XverseError) {
    nodes[container].end = UInt32(position)
    nodes[container].next = UInt32(nodes.count)
    openContainers.removeLast()
    if nodes[container].kind == .object { try checkKeys(of: container) }
  }

  private mutating func open(_ kind: JSONDocument.Kind) throws(XverseError) {
    guard openContainers.count < JSONDocument.maximumDepth else {
      throw .limit(
        "\(source): JSON nested deeper than \(JSONDocument.maximumDepth) levels at byte \(position)", offset: position)
    }
    openContainers.append(nodes.count)
    try add(kind, from: position, to: position)
    position += 1
  }

  // MARK: values

  private mutating func parseValue() throws(XverseError) {
    guard let byte = peek() else { throw fault("the text ends inside a value") }
    switch byte {
    case UInt8(ascii: "{"): try open(.object)
    case UInt8(ascii: "["): try open(.array)
    case UInt8(ascii: "\""): try parseString()
    case UInt8(ascii: "t"): try parseWord("true", .bool)
    case UInt8(ascii: "f"): try parseWord("false", .bool)
    case UInt8(ascii: "n"): try parseWord("null", .null)
    case UInt8(ascii: "N") where dialect == .python: try parseWord("NaN", .number)
    case UInt8(ascii: "I") where dialect == .python: try parseWord("Infinity", .number)
    case UInt8(ascii: "-") where dialect == .python && peek(1) == UInt8(ascii: "I"):
      try parseWord("-Infinity", .number)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try parseNumber()
    default: throw fault("expected a value")
    }
  }

  private mutating func parseWord(_ word: StaticString, _ kind: JSONDocument.Kind) throws(XverseError) {
    let length = word.utf8CodeUnitCount
    guard bytes.count - position >= length else { throw fault("expected '\(word)'") }
    for i in 0..<length where bytes[position + i] != word.utf8Start[i] { throw fault("expected '\(word)'") }
    if kind == .number { warn("\(word), which JSON does not have") }
    try add(kind, from: position, to: position + length)
    position += length
  }

  private mutating func parseNumber() throws(XverseError) {
    let start = position
    if peek() == UInt8(ascii: "-") { position += 1 }
    if peek() == UInt8(ascii: "0") { position += 1 } else { try skipDigits() }
    if peek() == UInt8(ascii: ".") {
      position += 1
      try skipDigits()
    }
    if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
      position += 1
      if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { position += 1 }
      try skipDigits()
    }
    try add(.number, from: start, to: position)
  }

  private mutating func skipDigits() throws(XverseError) {
    let start = position
    while let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    guard position > start else { throw fault("expected a digit") }
  }

  private mutating func parseString() throws(XverseError) {
    position += 1
    let start = position
    var hasEscapes = false
    while true {
      guard let byte = peek() else { throw fault("the text ends inside a string") }
      switch byte {
      case UInt8(ascii: "\""):
        try add(hasEscapes ? .escapedString : .string, from: start, to: position)
        position += 1
        return
      case UInt8(ascii: "\\"):
        hasEscapes = true
        guard let escape = JSONEscape(bytes, at: position) else { throw fault("malformed escape sequence in a string") }
        if escape.isLoneSurrogate {
          guard dialect == .python else { throw fault("malformed escape sequence in a string") }
          warn("half of a surrogate pair in a string")
        }
        position += escape.length
      case 0..<0x20: throw fault("unescaped control character in a string")
      case 0x20..<0x80: position += 1
      default:
        guard let length = UTF8Scalar.length(in: bytes, at: position) else { throw fault("invalid UTF-8 in a string") }
        position += length
      }
    }
  }

  // MARK: unique keys

  /// Rejects equal keys, or tells of them.
  private mutating func checkKeys(of object: Int) throws(XverseError) {
    let end = Int(nodes[object].next)
    var keyCount = 0
    var index = object + 1
    while index < end {
      keyCount += 1
      index = Int(nodes[index + 1].next)
    }
    guard keyCount > 1 else { return }
    // Open addressing at a load of at most one half; the hash is seeded at random, so nobody can aim at collisions.
    let slotCount = 1 << (Int.bitWidth - (2 * keyCount - 1).leadingZeroBitCount)
    var slots = try Buffer<UInt32>(repeating: 0, count: slotCount, allocator: allocator)
    index = object + 1
    while index < end {
      let key = JSONString(bytes: bytes, node: nodes[index])
      var slot = key.hash & (slotCount - 1)
      while slots[slot] != 0 {
        if JSONString(bytes: bytes, node: nodes[Int(slots[slot])]) == key {
          let words = "duplicate key '\(key.snippet)'"
          guard dialect == .python else { throw fault(words, at: Int(nodes[index].start)) }
          warn("\(words), of which the last one counts", at: Int(nodes[index].start))
          break
        }
        slot = (slot + 1) & (slotCount - 1)
      }
      slots[slot] = UInt32(index)
      index = Int(nodes[index + 1].next)
    }
  }

  // MARK: bytes

  private func peek(_ distance: Int = 0) -> UInt8? {
    position + distance < bytes.count ? bytes[position + distance] : nil
  }

  private mutating func skipWhitespace() {
    while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func add(_ kind: JSONDocument.Kind, from start: Int, to end: Int) throws(XverseError) {
    let next = UInt32(nodes.count + 1)
    try nodes.append(Node(kind: kind, start: UInt32(start), end: UInt32(end), next: next))
  }

  private mutating func warn(_ what: String, at offset: Int? = nil) {
    if warnings.count < Self.maximumWarningCount { warnings.append("\(source): \(what) at byte \(offset ?? position)") }
  }

  private func fault(_ what: String) -> XverseError { fault(what, at: position) }

  private func fault(_ what: String, at offset: Int) -> XverseError {
    XverseError(faultCode, "\(source): \(what) at byte \(offset)", offset: offset)
  }
}

/// One escape sequence: its length in the text and the scalar that it stands for.
struct JSONEscape {
  let length: Int
  let scalar: Unicode.Scalar
  /// Whether it is half of a surrogate pair, for which `scalar` is U+FFFD.
  private(set) var isLoneSurrogate = false

  /// Reads the sequence whose backslash is at `position`; nil when it is malformed.
  init?(_ bytes: UnsafeRawBufferPointer, at position: Int) {
    guard position + 1 < bytes.count else { return nil }
    let simple: Unicode.Scalar
    switch bytes[position + 1] {
    case UInt8(ascii: "\""): simple = "\""
    case UInt8(ascii: "\\"): simple = "\\"
    case UInt8(ascii: "/"): simple = "/"
    case UInt8(ascii: "b"): simple = "\u{8}"
    case UInt8(ascii: "f"): simple = "\u{C}"
    case UInt8(ascii: "n"): simple = "\n"
    case UInt8(ascii: "r"): simple = "\r"
    case UInt8(ascii: "t"): simple = "\t"
    case UInt8(ascii: "u"):
      guard let high = Self.unit(bytes, at: position + 2) else { return nil }
      if let scalar = Unicode.Scalar(high) {
        self.length = 6
        self.scalar = scalar
        return
      }
      guard high < 0xDC00, position + 7 < bytes.count, bytes[position + 6] == UInt8(ascii: "\\"),
        bytes[position + 7] == UInt8(ascii: "u"), let low = Self.unit(bytes, at: position + 8),
        (0xDC00..<0xE000).contains(low),
        let scalar = Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
      else {
        self.length = 6
        self.scalar = "\u{FFFD}"
        isLoneSurrogate = true
        return
      }
      self.length = 12
      self.scalar = scalar
      return
    default: return nil
    }
    self.length = 2
    self.scalar = simple
  }

  private static func unit(_ bytes: UnsafeRawBufferPointer, at position: Int) -> UInt32? {
    guard position + 4 <= bytes.count else { return nil }
    var value: UInt32 = 0
    for i in position..<position + 4 {
      guard let digit = Character(Unicode.Scalar(bytes[i])).hexDigitValue else { return nil }
      value = value << 4 | UInt32(digit)
    }
    return value
  }
}
