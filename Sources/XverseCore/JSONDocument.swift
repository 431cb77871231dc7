// JSONDocument.swift -- a parsed JSON text (RFC 8259) as a flat list of nodes over the text's own bytes. Strings and
// numbers are decoded when they are asked for, so a tokenizer.json of 100,000 entries costs one pass and no strings.

/// A JSON text, checked as a whole: syntax, UTF-8, depth, unique keys.
///
/// Files that Python wrote are read as Python's `json.load` reads them: NaN, Infinity and -Infinity are numbers, of equal
/// keys the last one counts, and half of a surrogate pair stands for U+FFFD. `warnings` tells what was found of these.
///
/// Memory: 16 bytes a value and at most 24 bytes a key of the largest object, from `allocator`.
/// Threads: immutable; any number of readers.
package final class JSONDocument: @unchecked Sendable {
  /// Deepest nesting of arrays and objects.
  package static let maximumDepth = 128
  /// Longest text; a node keeps 32-bit offsets.
  package static let maximumLength = 1 << 30

  /// What is accepted beyond RFC 8259.
  package enum Dialect: Sendable {
    /// Nothing; equal keys, which the RFC leaves open, are rejected.
    case rfc8259
    /// What Python's `json.load` accepts.
    case python
  }

  enum Kind: UInt8 {
    case null, bool, number, string, escapedString, array, object
  }

  /// One value or one key. The children of a container follow it; `next` is the node after the last of them.
  struct Node: BitwiseCopyable {
    var kind: Kind
    /// First byte: of a string the one after the quotation mark.
    var start: UInt32
    /// One past the last byte: of a string the closing quotation mark.
    var end: UInt32
    var next: UInt32
  }

  let bytes: UnsafeRawBufferPointer
  let nodes: Buffer<Node>
  /// The file's name, or what else the text is called in messages.
  package let source: String
  /// Sentences for people about what only Python accepts.
  package let warnings: [String]
  let dialect: Dialect
  private let owner: AnyObject?

  /// Parses `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: The text; it must stay in place as long as the document lives.
  ///   - owner: Kept alive as long as the document: whatever holds `bytes`.
  ///   - source: The text's name in messages.
  ///   - faultCode: The status of a malformed text: `.corrupt` for a file, `.parse` for an argument.
  package init(
    _ bytes: UnsafeRawBufferPointer, owner: AnyObject? = nil, source: String,
    dialect: Dialect = .rfc8259, faultCode: XverseError.Code = .corrupt, allocator: MemoryAllocator = .system
  ) throws(XverseError) {
    var parser = JSONParser(bytes, source: source, dialect: dialect, faultCode: faultCode, allocator: allocator)
    try parser.parse()
    self.dialect = dialect
    warnings = parser.warnings
    self.bytes = bytes
    self.owner = owner
    self.source = source
    self.nodes = parser.takeNodes()
  }

  package var root: JSONValue { JSONValue(document: self, index: 0) }
}
