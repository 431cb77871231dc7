// JSONTarget.swift -- JSONDocument and all that can be asked of its values.

import XverseCore

extension FuzzTarget {
  /// The bytes are a JSON text, of JSON itself and of Python's.
  static let json = FuzzTarget(name: "json") { bytes in
    try read(bytes, dialect: .rfc8259)
    try read(bytes, dialect: .python)
  }

  private static func read(_ bytes: UnsafeRawBufferPointer, dialect: JSONDocument.Dialect) throws {
    try reading(bytes, multiple: 64, constant: 4096) { allocator in
      let document = try JSONDocument(bytes, source: "text", dialect: dialect, allocator: allocator)
      var pending = [document.root]
      while let value = pending.popLast() {
        try check(value, in: bytes, allocator)
        for element in value.elements { pending.append(element) }
        for (key, member) in value.members {
          try require(key.equals(key.text), "a key is not its own text: \(key.snippet)")
          pending.append(member)
        }
      }
    }
  }

  private static func check(_ value: JSONValue, in bytes: UnsafeRawBufferPointer, _ allocator: MemoryAllocator) throws {
    try require(bytes.indices.contains(value.offset) || value.stringValue != nil, "a value at byte \(value.offset)")
    try require(!value.snippet.isEmpty && value.snippet.utf8.count <= 40 * 6 + 3, "snippet \(value.snippet)")
    switch value.kind {
    case .string: try checkString(value, allocator)
    case .number:
      if let int = value.int { try require(value.double == Double(int), "\(int) is also \(value.double ?? .nan)") }
    case .bool: try require(value.bool != nil, "a boolean without a value")
    case .null, .array, .object: try require(value.string == nil && value.double == nil, "\(value.kind) has a value")
    }
    for key in ["", "a", "type"] {
      guard let member = value[key] else { continue }
      let isThere = value.members.contains { $0.key.equals(key) && $0.value.offset == member.offset }
      try require(value.kind == .object && isThere, "a member '\(key)' that is not there")
    }
  }

  /// A string must come back from the text that a writer makes of it.
  private static func checkString(_ value: JSONValue, _ allocator: MemoryAllocator) throws {
    guard let string = value.string else { throw Violation("a string without a text") }
    var decoded = Buffer<UInt8>(allocator: allocator)
    try value.stringValue?.append(to: &decoded)
    try require(decoded.elements.elementsEqual(string.utf8), "two decodings of \(value.snippet)")
    var writer = JSONWriter()
    writer.write(string)
    let text = writer.text
    let again = try Array(text.utf8).withUnsafeBytes { bytes in
      try JSONDocument(bytes, source: "written", allocator: .system).root.string
    }
    try require(again?.utf8.elementsEqual(string.utf8) == true, "\(value.snippet) is written as \(text)")
  }
}
