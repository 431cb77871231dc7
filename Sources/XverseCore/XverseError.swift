// XverseError.swift -- the one error of the library. It stands at the bottom so that every module can throw it;
// XverseCAPI turns it into a status and the thread's message.

/// Why an operation failed: a status of the C ABI and one sentence that a stranger can act on.
///
/// The sentence names the place (file, tensor, field, option), the value found and the value expected:
/// `config.json: 'num_attention_heads' is 7, expected a divisor of hidden_size 64`.
@usableFromInline package struct XverseError: Error, Equatable, Sendable {
  /// The statuses of `xverse.h` that an operation can end with; the raw values are the ABI's and never change.
  package enum Code: Int32, Sendable {
    case stopped = 2
    case failed = -1
    case outOfMemory = -2
    case invalid = -3
    case misuse = -4
    case busy = -5
    case cancelled = -6
    case deadline = -7
    case io = -8
    case notFound = -9
    case corrupt = -10
    case unsupported = -11
    case unsafe = -12
    case range = -13
    case contextFull = -14
    case queueFull = -15
    case parse = -16
    case mismatch = -17
    case forked = -18
    case limit = -19
    case callback = -20
    case `internal` = -99
  }

  package let code: Code
  package let message: String
  /// Byte offset of the fault in the text or file named by the message; -1 when there is none.
  package let offset: Int64
  /// The field of a JSON request that the message names, such as `messages[0].role`; nil when it names none.
  package let field: String?

  package init(_ code: Code, _ message: String, offset: Int? = nil, field: String? = nil) {
    self.code = code
    self.message = message
    self.offset = offset.map(Int64.init) ?? -1
    self.field = field
  }

  package static func invalid(_ message: String) -> Self { Self(.invalid, message) }
  package static func misuse(_ message: String) -> Self { Self(.misuse, message) }
  package static func io(_ message: String) -> Self { Self(.io, message) }
  package static func notFound(_ message: String) -> Self { Self(.notFound, message) }
  package static func corrupt(_ message: String, offset: Int? = nil) -> Self { Self(.corrupt, message, offset: offset) }
  package static func unsupported(_ message: String) -> Self { Self(.unsupported, message) }
  package static func unsafe(_ message: String, offset: Int? = nil) -> Self { Self(.unsafe, message, offset: offset) }
  package static func range(_ message: String) -> Self { Self(.range, message) }
  package static func limit(_ message: String, offset: Int? = nil) -> Self { Self(.limit, message, offset: offset) }
  package static func outOfMemory(bytes: Int) -> Self { Self(.outOfMemory, "cannot allocate \(bytes) bytes of memory") }
}
