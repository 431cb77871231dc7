// JSONBufferWriter.swift -- writes JSON texts whose length comes from outside: it throws where a String would end the
// process.

/// Builds a JSON text piece by piece; it writes the commas; the caller matches begin and end.
///
/// Whatever the strings are, the text is valid JSON: bytes that are not UTF-8 become U+FFFD. After an error the text is
/// of no use.
package struct JSONBufferWriter: ~Copyable {
  private var output: Buffer<UInt8>
  private var needsComma = false

  package init(allocator: MemoryAllocator) { output = Buffer(allocator: allocator) }

  /// The text so far; valid until the next change.
  package var text: UnsafeBufferPointer<UInt8> { output.elements }

  package consuming func takeText() -> Buffer<UInt8> { output }

  /// Begins another text, in the same memory.
  package mutating func removeAll() {
    output.removeAll()
    needsComma = false
  }

  /// Ends the text with a NUL.
  package mutating func terminate() throws(XverseError) { try output.append(0) }

  package mutating func beginObject(_ key: String? = nil) throws(XverseError) { try open("{", key) }
  package mutating func endObject() throws(XverseError) { try close("}") }
  package mutating func beginArray(_ key: String? = nil) throws(XverseError) { try open("[", key) }
  package mutating func endArray() throws(XverseError) { try close("]") }

  package mutating func write(_ value: String, _ key: String? = nil) throws(XverseError) {
    try begin(key)
    try quote(value)
  }

  /// Writes the UTF-8 `bytes` as a string.
  package mutating func write(_ bytes: UnsafeRawBufferPointer, _ key: String? = nil) throws(XverseError) {
    try begin(key)
    try quote(bytes)
  }

  package mutating func write(_ value: Int, _ key: String? = nil) throws(XverseError) { try put("\(value)", key) }
  package mutating func writeNull(_ key: String? = nil) throws(XverseError) { try put("null", key) }

  /// The shortest decimal that is read back as the same `Float`; null for a value that JSON cannot express.
  package mutating func write(_ value: Float, _ key: String? = nil) throws(XverseError) {
    try put(value.isFinite ? "\(value)" : "null", key)
  }

  private mutating func open(_ bracket: String, _ key: String?) throws(XverseError) {
    try put(bracket, key)
    needsComma = false
  }

  private mutating func close(_ bracket: String) throws(XverseError) {
    try output.append(utf8: bracket)
    needsComma = true
  }

  private mutating func put(_ piece: String, _ key: String?) throws(XverseError) {
    try begin(key)
    try output.append(utf8: piece)
  }

  /// Writes what stands before a value.
  private mutating func begin(_ key: String?) throws(XverseError) {
    if needsComma { try output.append(UInt8(ascii: ",")) }
    needsComma = true
    guard let key else { return }
    try quote(key)
    try output.append(UInt8(ascii: ":"))
  }

  private mutating func quote(_ text: String) throws(XverseError) {
    var text = text
    // A closure of withUTF8 throws no typed error.
    let result = text.withUTF8 { bytes in
      Result { () throws(XverseError) in try quote(UnsafeRawBufferPointer(bytes)) }
    }
    try result.get()
  }

  private mutating func quote(_ bytes: UnsafeRawBufferPointer) throws(XverseError) {
    try output.append(UInt8(ascii: "\""))
    var position = 0
    while position < bytes.count {
      let byte = bytes[position]
      if byte < 0x80 {
        try quote(byte)
        position += 1
      } else if let length = UTF8Scalar.length(in: bytes, at: position) {
        try output.append(bytes: UnsafeRawBufferPointer(rebasing: bytes[position..<position + length]))
        position += length
      } else {
        try output.append(utf8: "\u{FFFD}")
        position += 1
      }
    }
    try output.append(UInt8(ascii: "\""))
  }

  private mutating func quote(_ ascii: UInt8) throws(XverseError) {
    switch ascii {
    case UInt8(ascii: "\""): try output.append(utf8: "\\\"")
    case UInt8(ascii: "\\"): try output.append(utf8: "\\\\")
    case UInt8(ascii: "\n"): try output.append(utf8: "\\n")
    case UInt8(ascii: "\t"): try output.append(utf8: "\\t")
    case UInt8(ascii: "\r"): try output.append(utf8: "\\r")
    case 0..<0x20: try output.append(utf8: (ascii < 0x10 ? "\\u000" : "\\u00") + String(ascii, radix: 16))
    default: try output.append(ascii)
    }
  }
}
