// JSONValue.swift -- reading a JSONDocument: typed access that never traps, whatever the text holds.

/// One value of a document.
package struct JSONValue {
  package enum Kind: String, Sendable {
    case null = "null"
    case bool = "a boolean"
    case number = "a number"
    case string = "a string"
    case array = "an array"
    case object = "an object"
  }

  package let document: JSONDocument
  let index: Int

  private var node: JSONDocument.Node { document.nodes[index] }

  package var kind: Kind {
    switch node.kind {
    case .null: .null
    case .bool: .bool
    case .number: .number
    case .string, .escapedString: .string
    case .array: .array
    case .object: .object
    }
  }

  package var isNull: Bool { node.kind == .null }

  /// Where the value stands in the text, in bytes.
  package var offset: Int { Int(node.start) }

  package var bool: Bool? { node.kind == .bool ? document.bytes[Int(node.start)] == UInt8(ascii: "t") : nil }

  /// The value of a number without fraction and exponent that fits; nil for everything else.
  package var int: Int? { node.kind == .number ? Int(rawText) : nil }

  /// The value of a finite number; nil for everything else, 1e400 included.
  package var double: Double? {
    guard node.kind == .number, let value = Double(rawText), value.isFinite else { return nil }
    return value
  }

  /// The value of a number that is whole, however it is written: 50, 50.0 or 5e1; nil for everything else.
  package var wholeNumber: Int? { int ?? double.flatMap { Int(exactly: $0) } }

  /// Whether a number is written with a minus sign, -Infinity among them.
  package var isNegative: Bool { node.kind == .number && document.bytes[Int(node.start)] == UInt8(ascii: "-") }

  package var string: String? { stringValue.map { $0.text } }

  /// The string without copying it; nil for other kinds.
  package var stringValue: JSONString? {
    switch node.kind {
    case .string, .escapedString: JSONString(bytes: document.bytes, node: node)
    default: nil
    }
  }

  /// The elements of an array; empty for other kinds.
  package var elements: JSONElements {
    JSONElements(document: document, index: index + 1, end: node.kind == .array ? Int(node.next) : 0)
  }

  /// The members of an object in the order of the text; empty for other kinds.
  package var members: JSONMembers {
    JSONMembers(document: document, index: index + 1, end: node.kind == .object ? Int(node.next) : 0)
  }

  /// The member called `key`, the last one of several; nil when there is none or this is no object. Linear in the number
  /// of members.
  package subscript(key: String) -> JSONValue? {
    var found: JSONValue?
    for member in members where member.key.equals(key) {
      found = member.value
      // Only Python allows another one.
      if document.dialect == .rfc8259 { break }
    }
    return found
  }

  /// Where the value stands in the text, its quotes included.
  package var textRange: Range<Int> {
    let quote = kind == .string ? 1 : 0
    return Int(node.start) - quote..<Int(node.end) + quote
  }

  /// The value as it is written, at most 40 bytes of it, fit for a message.
  package var snippet: String {
    let range = textRange
    let text = String(decoding: document.bytes[range.prefix(40)], as: UTF8.self).inMessage
    return range.count > 40 ? text + "..." : text
  }

  private var rawText: String { String(decoding: document.bytes[Int(node.start)..<Int(node.end)], as: UTF8.self) }
}

/// A string of a document, decoded on demand.
package struct JSONString: Equatable {
  private let raw: UnsafeRawBufferPointer
  private let hasEscapes: Bool

  init(bytes: UnsafeRawBufferPointer, node: JSONDocument.Node) {
    raw = UnsafeRawBufferPointer(rebasing: bytes[Int(node.start)..<Int(node.end)])
    hasEscapes = node.kind == .escapedString
  }

  package var text: String { withBytes { String(decoding: $0, as: UTF8.self) } }

  /// The beginning of the string as it is written, fit for a message.
  package var snippet: String {
    String(decoding: raw.prefix(40), as: UTF8.self).inMessage + (raw.count > 40 ? "..." : "")
  }

  /// Calls `body` with the decoded UTF-8 bytes, which are valid only during the call.
  package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    hasEscapes ? decoded.withUnsafeBytes(body) : body(raw)
  }

  /// Appends the decoded UTF-8 bytes.
  package func append(to buffer: inout Buffer<UInt8>) throws(XverseError) {
    guard hasEscapes else { return try buffer.append(bytes: raw) }
    var position = 0
    while position < raw.count {
      guard let escape = escape(at: position) else {
        try buffer.append(raw[position])
        position += 1
        continue
      }
      for byte in UTF8.encode(escape.scalar).unsafelyUnwrapped { try buffer.append(byte) }
      position += escape.length
    }
  }

  package func equals(_ text: String) -> Bool {
    // An escape sequence takes at most six bytes for one: a much longer string need not be decoded.
    raw.count / 6 <= text.utf8.count && withBytes { $0.elementsEqual(text.utf8) }
  }

  package static func == (left: JSONString, right: JSONString) -> Bool {
    left.withBytes { l in right.withBytes { r in l.elementsEqual(r) } }
  }

  var hash: Int {
    withBytes { bytes in
      var hasher = Hasher()
      hasher.combine(bytes: bytes)
      return hasher.finalize()
    }
  }

  private var decoded: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(raw.count)
    var position = 0
    while position < raw.count {
      guard let escape = escape(at: position) else {
        result.append(raw[position])
        position += 1
        continue
      }
      result.append(contentsOf: UTF8.encode(escape.scalar).unsafelyUnwrapped)
      position += escape.length
    }
    return result
  }

  /// The escape sequence at `position`, which the parser has checked; nil when another byte stands there.
  private func escape(at position: Int) -> JSONEscape? {
    guard raw[position] == UInt8(ascii: "\\") else { return nil }
    return JSONEscape(raw, at: position)
  }
}

package struct JSONElements: Sequence, IteratorProtocol {
  let document: JSONDocument
  var index: Int
  let end: Int

  package mutating func next() -> JSONValue? {
    guard index < end else { return nil }
    defer { index = Int(document.nodes[index].next) }
    return JSONValue(document: document, index: index)
  }
}

package struct JSONMembers: Sequence, IteratorProtocol {
  let document: JSONDocument
  var index: Int
  let end: Int

  package mutating func next() -> (key: JSONString, value: JSONValue)? {
    guard index < end else { return nil }
    defer { index = Int(document.nodes[index + 1].next) }
    let key = JSONString(bytes: document.bytes, node: document.nodes[index])
    return (key, JSONValue(document: document, index: index + 1))
  }
}
