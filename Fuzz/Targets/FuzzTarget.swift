// FuzzTarget.swift -- a reader of outside bytes, and what must hold whatever the bytes are. One file a target; the
// folder of its seeds and its dictionary have its name.

import XverseCore

/// A reader under random input. Traps, memory faults, leaks and hangs are found without a check.
package struct FuzzTarget: Sendable, CustomStringConvertible {
  /// Reads the bytes; throws a `Violation` when something does not hold.
  package typealias Check = (UnsafeRawBufferPointer) throws -> Void

  package let name: String
  /// Makes the check, with what it needs for all its calls.
  package let prepare: @Sendable () throws -> Check

  package var description: String { name }

  init(name: String, prepare: @escaping @Sendable () throws -> Check) {
    self.name = name
    self.prepare = prepare
  }

  init(name: String, check: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void) {
    self.init(name: name, prepare: { check })
  }

  package static let all: [FuzzTarget] = [
    .json, .configuration, .tokenizer, .detokenizer, .safetensors, .shardIndex, .pytorch, .gguf, .gptq, .openAI,
    .session,
  ]
}

/// Something that does not hold, in words.
package struct Violation: Error, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}

/// Requires what must hold.
func require(_ holds: Bool, _ words: @autoclosure () -> String) throws {
  guard holds else { throw Violation(words()) }
}

/// Calls a reader with the memory that its input justifies.
///
/// The reader may refuse the bytes, but only in words that fit a log and because of the bytes; it must not need more
/// memory and must give back what it took.
///
/// - Parameters:
///   - multiple: Most bytes of memory for a byte of the input.
///   - constant: Bytes of memory for any input.
///   - allowed: Statuses that only this reader may end with.
func reading(
  _ bytes: UnsafeRawBufferPointer, multiple: Int, constant: Int, allowing allowed: [XverseError.Code] = [],
  _ body: (MemoryAllocator) throws -> Void
) throws {
  let allocator = MemoryAllocator(limit: multiple * bytes.count + constant)
  do { try body(allocator) } catch let error as XverseError { try check(error, allowing: allowed) }
  try require(allocator.current == 0, "\(allocator.current) bytes are held at the end")
}

/// Checks that an error blames the bytes and can be shown to a stranger.
///
/// - Parameter allowed: Statuses that are right besides the usual ones.
func check(_ error: XverseError, allowing allowed: [XverseError.Code] = []) throws {
  switch error.code {
  case let code where allowed.contains(code): break
  case .corrupt, .unsupported, .unsafe, .limit, .invalid, .range, .notFound: break
  default: throw Violation("status \(error.code): \(error.message)")
  }
  try require(!error.message.isEmpty && error.message.utf8.count < 2000, "a message of that length: \(error.message)")
  for scalar in error.message.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator:
      throw Violation("U+\(String(scalar.value, radix: 16)) in a message: \(error.message)")
    default: break
    }
  }
  try require(error.offset >= -1, "offset \(error.offset): \(error.message)")
}

/// Whether `bytes` are well-formed UTF-8.
func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
  String(validating: bytes, as: UTF8.self) != nil
}
