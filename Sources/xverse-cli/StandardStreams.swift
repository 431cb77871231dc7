// StandardStreams.swift -- standard output, error and input by file descriptor: every failed write is noticed, and a
// read that Ctrl-C breaks off says so.

import Glibc

enum StandardOutput {
  static let isTerminal = isatty(STDOUT_FILENO) == 1

  static func write(_ text: String) throws(ToolError) {
    var text = text
    let failure = text.withUTF8 { write(UnsafeRawBufferPointer($0), to: STDOUT_FILENO) }
    try check(failure)
  }

  static func write(_ bytes: UnsafeRawBufferPointer) throws(ToolError) {
    try check(write(bytes, to: STDOUT_FILENO))
  }

  private static func check(_ failure: Int32) throws(ToolError) {
    if failure == EPIPE { throw .outputClosed }
    if failure != 0 { throw .failure("cannot write to standard output: \(describe(failure))") }
  }

  /// Writes all of `bytes` and returns 0, or the errno that stopped it.
  fileprivate static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if errno != EINTR {
        return errno
      }
    }
    return 0
  }
}

enum StandardError {
  static let isTerminal = isatty(STDERR_FILENO) == 1

  /// Best effort: there is nobody left to tell when this fails.
  static func write(_ text: String) {
    var text = text
    text.withUTF8 { _ = StandardOutput.write(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
  }
}

/// A file or standard input, read whole or line by line.
struct InputReader: ~Copyable {
  private let descriptor: Int32
  private let name: String
  private var buffered: [CChar] = []
  private var isAtEnd = false

  static let isTerminal = isatty(STDIN_FILENO) == 1

  /// Opens the file at `path`, or standard input for "-".
  init(path: Word) throws(ToolError) {
    let isInput = path.text == "-"
    name = isInput ? "standard input" : path.text
    descriptor = isInput ? STDIN_FILENO : open(path.path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw .failure("cannot open \(path.text): \(describe(errno))") }
  }

  deinit {
    if descriptor != STDIN_FILENO { close(descriptor) }
  }

  /// Everything up to the end of the file.
  mutating func readAll() throws(ToolError) -> [CChar] {
    while try fill() {}
    defer { buffered = [] }
    return buffered
  }

  /// The next line without its line break, nil at the end of the file.
  ///
  /// - Throws: `interrupted` when Ctrl-C is pressed while it waits.
  mutating func readLine() throws(ToolError) -> [CChar]? {
    var searched = 0
    while true {
      if let end = buffered[searched...].firstIndex(of: newline) {
        var line = Array(buffered[..<end])
        buffered.removeFirst(end + 1)
        if line.last == carriageReturn { line.removeLast() }
        return line
      }
      searched = buffered.count
      if try !fill() {
        defer { buffered = [] }
        return buffered.isEmpty ? nil : buffered
      }
    }
  }

  /// Reads one more piece into `buffered`; false at the end of the file.
  private mutating func fill() throws(ToolError) -> Bool {
    if isAtEnd { return false }
    let count = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 65536) { piece in
      let count = read(descriptor, piece.baseAddress, piece.count)
      if count > 0 { buffered.append(contentsOf: piece[..<count]) }
      return count
    }
    if count < 0 {
      if errno != EINTR { throw .failure("cannot read \(name): \(describe(errno))") }
      if Interrupt.isRequested { throw .interrupted }
    }
    // A terminal can go on after Ctrl-D, but the caller has seen the end.
    isAtEnd = count == 0
    return count != 0
  }

  private var newline: CChar { 10 }
  private var carriageReturn: CChar { 13 }
}

/// The C library's words for an error number.
func describe(_ code: Int32) -> String { String(cString: strerror(code)) }
