// ToolError.swift -- why a command ended early, and the exit status that says so.

import CXverse
import Glibc

enum ToolError: Error {
  /// The command line is wrong.
  case usage(String)
  /// Something failed while running; the library's status, or what it would have been.
  case failure(String, status: xverse_status = xverse_status(XVERSE_E_FAIL))
  /// The user pressed Ctrl-C, and knows.
  case interrupted
  /// The reader of our standard output went away, which is its right: nothing is said.
  case outputClosed

  /// A call of the system failed with an error number.
  static func system(_ message: String, _ code: Int32) -> Self {
    let status = code == ENOENT ? XVERSE_E_NOTFOUND : XVERSE_E_IO
    return .failure("\(message): \(describe(code))", status: xverse_status(status))
  }

  var message: String? {
    switch self {
    case .usage(let message), .failure(let message, _): message
    case .interrupted, .outputClosed: nil
    }
  }

  /// "status" and "message" of an error in JSON.
  var members: [(key: String, value: JSON)] {
    [("status", .string(String(cString: xverse_status_name(status)))), ("message", .string(message ?? ""))]
  }

  /// The library's number for it.
  private var status: xverse_status {
    switch self {
    case .failure(_, let status): status
    case .usage: xverse_status(XVERSE_E_INVALID)
    case .interrupted, .outputClosed: xverse_status(XVERSE_E_CANCELLED)
    }
  }

  var exitStatus: Int32 {
    switch self {
    case .usage: ExitStatus.usage
    case .failure: ExitStatus.failure
    case .interrupted: ExitStatus.interrupted
    case .outputClosed: ExitStatus.outputClosed
    }
  }
}

enum ExitStatus {
  static let success: Int32 = 0
  static let failure: Int32 = 1
  static let usage: Int32 = 2
  /// 128 + SIGINT and 128 + SIGPIPE, as a shell reports a program that these signals ended.
  static let interrupted: Int32 = 130
  static let outputClosed: Int32 = 141
}
