// JSONReader.swift -- parses JSON texts (RFC 8259): what the library returns, and the lines of a batch.

import CXverse

extension JSON {
  /// - Parameter source: What the text is, for the message.
  /// - Throws: `failure` with the byte offset of the first fault.
  init(parsing text: String, from source: String = "the library's JSON") throws(ToolError) {
    var reader = JSONReader(bytes: Array(text.utf8), source: source)
    self = try reader.readDocument()
  }
}

private struct JSONReader {
  let bytes: [UInt8]
  private let source: String
  private var position = 0

  /// Deeper than anything the library reads or writes, shallow enough for any stack.
  private static let deepestNesting = 64

  init(bytes: [UInt8], source: String) {
    self.bytes = bytes
    self.source = source
  }

  mutating func readDocument() throws(ToolError) -> JSON {
    let value = try readValue(depth: 0)
    skipSpace()
    if position != bytes.count { throw fault("the end") }
    return value
  }

  private mutating func readValue(depth: Int) throws(ToolError) -> JSON {
    if depth > Self.deepestNesting { throw fault("less nesting") }
    skipSpace()
    switch peek {
    case UInt8(ascii: "{"): return try readObject(depth: depth)
    case UInt8(ascii: "["): return try readArray(depth: depth)
    case UInt8(ascii: "\""): return .string(try readString())
    case UInt8(ascii: "t"): return try readWord("true", .bool(true))
    case UInt8(ascii: "f"): return try readWord("false", .bool(false))
    case UInt8(ascii: "n"): return try readWord("null", .null)
    default: return try readNumber()
    }
  }

  private mutating func readObject(depth: Int) throws(ToolError) -> JSON {
    var members: [(key: String, value: JSON)] = []
    position += 1
    if skip("}") { return .object(members) }
    repeat {
      skipSpace()
      let key = try readString()
      if !skip(":") { throw fault("':'") }
      members.append((key, try readValue(depth: depth + 1)))
    } while skip(",")
    if !skip("}") { throw fault("',' or '}'") }
    return .object(members)
  }

  private mutating func readArray(depth: Int) throws(ToolError) -> JSON {
    var elements: [JSON] = []
    position += 1
    if skip("]") { return .array(elements) }
    repeat {
      elements.append(try readValue(depth: depth + 1))
    } while skip(",")
    if !skip("]") { throw fault("',' or ']'") }
    return .array(elements)
  }

  private mutating func readWord(_ word: String, _ value: JSON) throws(ToolError) -> JSON {
    guard bytes[position...].starts(with: word.utf8) else { throw fault("'\(word)'") }
    position += word.utf8.count
    return value
  }

  private mutating func readNumber() throws(ToolError) -> JSON {
    let start = position
    if peek == UInt8(ascii: "-") { position += 1 }
    if peek == UInt8(ascii: "0") { position += 1 } else { try readDigits(or: "a value") }
    if peek == UInt8(ascii: ".") {
      position += 1
      try readDigits()
    }
    if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
      position += 1
      if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
      try readDigits()
    }
    return .number(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func readDigits(or expected: String = "a digit") throws(ToolError) {
    let start = position
    while let byte = peek, 0x30...0x39 ~= byte { position += 1 }
    if position == start { throw fault(expected) }
  }

  private mutating func readString() throws(ToolError) -> String {
    if peek != UInt8(ascii: "\"") { throw fault("'\"'") }
    position += 1
    var content: [UInt8] = []
    while let byte = peek {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: content, as: UTF8.self)
      case UInt8(ascii: "\\"): content += Array(String(try readEscape()).utf8)
      case 0..<0x20:
        position -= 1
        throw fault("no control character in a string")
      default: content.append(byte)
      }
    }
    throw fault("'\"'")
  }

  private mutating func readEscape() throws(ToolError) -> Unicode.Scalar {
    guard let byte = peek else { throw fault("an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try readCodePoint()
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    default: throw fault("an escape")
    }
  }

  /// The four digits after `\u`, and the second half of a surrogate pair; half a pair alone becomes U+FFFD.
  private mutating func readCodePoint() throws(ToolError) -> Unicode.Scalar {
    let first = try readHexDigits()
    guard 0xD800...0xDBFF ~= first, bytes[position...].starts(with: "\\u".utf8) else {
      return Unicode.Scalar(first) ?? "\u{FFFD}"
    }
    position += 2
    let second = try readHexDigits()
    guard 0xDC00...0xDFFF ~= second else { return "\u{FFFD}" }
    return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)) ?? "\u{FFFD}"
  }

  private mutating func readHexDigits() throws(ToolError) -> UInt32 {
    let digits = String(decoding: bytes[position...].prefix(4), as: UTF8.self)
    guard digits.utf8.count == 4, digits.first?.isHexDigit == true, let value = UInt32(digits, radix: 16) else {
      throw fault("four hexadecimal digits")
    }
    position += 4
    return value
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Steps over `character` if it comes next.
  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
  }

  private func fault(_ expected: String) -> ToolError {
    .failure(
      "\(source) has a fault at byte \(position): expected \(expected)", status: xverse_status(XVERSE_E_PARSE))
  }
}
