// StandardStreams.swift -- standard output, error and input by file descriptor: every failed write is noticed, and a
// read that Ctrl-C breaks off says so.

import Glibc

enum StandardOutput {
  static let isTerminal = isatty(STDOUT_FILENO) == 1
  static let terminal = Terminal(STDOUT_FILENO)

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
    if failure != 0 { throw .system("cannot write to standard output", failure) }
  }

  /// Writes all of `bytes` and returns 0, or the errno that stopped it.
  static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
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
  static let terminal = Terminal(STDERR_FILENO)

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
  private let isOwner: Bool
  private var buffered: [CChar] = []
  /// Where in `buffered` the next line begins.
  private var position = 0
  private var isAtEnd = false

  static let isTerminal = isatty(STDIN_FILENO) == 1

  /// A line without its line break.
  struct Line {
    /// None when the line is too long.
    fileprivate(set) var characters: [CChar] = []
    fileprivate(set) var isTooLong = false
    /// Whether a line feed ends it, not the end of the file.
    fileprivate(set) var isWhole = true
    /// In the file, the line break included.
    fileprivate(set) var byteCount = 0
  }

  /// Opens the file at `path`, or standard input for "-".
  init(path: Word) throws(ToolError) {
    let isInput = path.text == "-"
    name = isInput ? "standard input" : path.text
    isOwner = !isInput
    descriptor = isInput ? STDIN_FILENO : open(path.path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw .system("cannot open \(path.text)", errno) }
  }

  /// Reads a file that somebody else closes.
  init(borrowing descriptor: Int32, name: String) {
    self.descriptor = descriptor
    self.name = name
    isOwner = false
  }

  deinit {
    if isOwner { close(descriptor) }
  }

  /// What fstat(2) says of it.
  func status() throws(ToolError) -> stat { try fileStatus(descriptor, name) }

  /// Whether something can be read without waiting.
  var isReady: Bool {
    var input = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return position < buffered.count || isAtEnd || poll(&input, 1, 0) != 0
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
  mutating func readLine() throws(ToolError) -> [CChar]? { try readLine(atMost: .max)?.characters }

  /// The same, in bounded memory: what a line has beyond `limit` bytes is read and dropped.
  mutating func readLine(atMost limit: Int) throws(ToolError) -> Line? {
    var line = Line()
    while true {
      let rest = buffered[position...]
      let end = rest.firstIndex(of: newline)
      let part = rest[..<(end ?? rest.endIndex)]
      line.byteCount += part.count + (end == nil ? 0 : 1)
      line.isTooLong = line.isTooLong || part.count > limit - line.characters.count
      if line.isTooLong { line.characters = [] } else { line.characters += part }
      if let end {
        position = end + 1
        if line.characters.last == carriageReturn { line.characters.removeLast() }
        return line
      }
      buffered.removeAll(keepingCapacity: true)
      position = 0
      if try !fill() {
        line.isWhole = false
        return line.byteCount == 0 ? nil : line
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
      if errno != EINTR { throw .system("cannot read \(name)", errno) }
      if Interrupt.isRequested { throw .interrupted }
    }
    // A terminal can go on after Ctrl-D, but the caller has seen the end.
    isAtEnd = count == 0
    return count != 0
  }

  private var newline: CChar { 10 }
  private var carriageReturn: CChar { 13 }
}

/// What fstat(2) says of an open file.
func fileStatus(_ descriptor: Int32, _ name: String) throws(ToolError) -> stat {
  var status = stat()
  if fstat(descriptor, &status) != 0 { throw .system("cannot read \(name)", errno) }
  return status
}

/// The C library's words for an error number.
func describe(_ code: Int32) -> String { String(cString: strerror(code)) }
