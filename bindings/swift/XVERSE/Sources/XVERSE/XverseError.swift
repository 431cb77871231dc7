// XverseError.swift -- a failed call: its status, and the library's sentence about it.

internal import CXverse

/// A failed call: what kind of failure, and a sentence that names the place, the value found and the value expected.
public struct XverseError: Error, Hashable, Sendable {
  /// Kinds of failures; xverse.h describes each under the name XVERSE_E_...
  public enum Status: Hashable, Sendable {
    /// The model gave no usable answer.
    case failed
    /// Memory, or the option `memoryLimit`, is exhausted.
    case outOfMemory
    /// An argument that is never right.
    case invalid
    /// A right call at a wrong time.
    case misuse
    /// The object is in use elsewhere.
    case busy
    /// The task was cancelled.
    case cancelled
    case deadline
    /// The system could not read or write a file.
    case inputOutput
    /// A file does not exist.
    case notFound
    /// A file contradicts its format or itself.
    case corrupt
    /// A valid file, or a request, that needs something this library does not have.
    case unsupported
    /// A file that would have to execute code to be read.
    case unsafe
    /// A value outside its bounds.
    case range
    /// More tokens than the context holds.
    case contextFull
    /// A scheduler holds as many answers as it may.
    case queueFull
    /// Text that should be JSON is not.
    case parse
    /// Two objects that do not belong together.
    case mismatch
    /// Called in a child after fork().
    case forked
    /// A file larger or deeper than the library accepts.
    case limit
    /// A fault of the library: please report it.
    case `internal`
    /// A status that this package does not know, of a newer library.
    case other(Int32)
  }

  public let status: Status

  /// One sentence.
  public let message: String

  /// The place that the message speaks of in a text or file, in bytes from its start.
  public let offset: Int?

  /// OpenAI's error object, in JSON, when a request of its interface failed.
  public let response: String?

  init(_ status: Status, _ message: String, offset: Int? = nil, response: String? = nil) {
    self.status = status
    self.message = message
    self.offset = offset
    self.response = response
  }
}

extension XverseError: CustomStringConvertible {
  public var description: String { message }
}

extension XverseError {
  static let cancelled = XverseError(.cancelled, "the task was cancelled")

  /// The error of the calling thread's last call, which returned `status`.
  init(status: xverse_status, response: String? = nil) {
    let offset = xverse_last_error_offset()
    self.init(
      Status(status), String(cString: xverse_last_error()), offset: offset < 0 ? nil : Int(offset), response: response)
  }
}

extension XverseError.Status {
  init(_ status: xverse_status) {
    self = Self.known.first { $0.key == Int(status) }?.value ?? .other(status)
  }

  private static var known: KeyValuePairs<Int, Self> {
    [
      XVERSE_E_FAIL: .failed, XVERSE_E_NOMEM: .outOfMemory, XVERSE_E_INVALID: .invalid, XVERSE_E_MISUSE: .misuse,
      XVERSE_E_BUSY: .busy, XVERSE_E_CANCELLED: .cancelled, XVERSE_E_DEADLINE: .deadline,
      XVERSE_E_IO: .inputOutput, XVERSE_E_NOTFOUND: .notFound, XVERSE_E_CORRUPT: .corrupt,
      XVERSE_E_UNSUPPORTED: .unsupported, XVERSE_E_UNSAFE: .unsafe, XVERSE_E_RANGE: .range,
      XVERSE_E_CONTEXT_FULL: .contextFull, XVERSE_E_QUEUE_FULL: .queueFull, XVERSE_E_PARSE: .parse,
      XVERSE_E_MISMATCH: .mismatch, XVERSE_E_FORKED: .forked, XVERSE_E_LIMIT: .limit, XVERSE_E_INTERNAL: .internal,
    ]
  }
}

/// Throws what a call returned, unless it is XVERSE_OK or information.
func check(_ status: xverse_status) throws(XverseError) {
  if status < 0 { throw XverseError(status: status) }
}
