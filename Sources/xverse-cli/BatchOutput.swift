// BatchOutput.swift -- the answers of a batch: a JSON object a line, in the order of the input. What an earlier run wrote
// can be continued, wherever that run was ended.

import CXverse
import Glibc

/// The file of `--output`.
///
/// Every line begins with its index and reaches the system with one write(2), so a run that is killed leaves whole lines and
/// at most one that is not.
struct BatchOutput: ~Copyable {
  let name: String
  private let descriptor: Int32
  private var isFile = false
  private let isStandardOutput: Bool

  /// Opens the file at `path`, or standard output for "-", and changes nothing that is in it.
  ///
  /// - Throws: `usage` when it is `input`, when another process is writing it, and when it has content unless
  ///   `mayHaveContent`.
  init(path: Word, input: stat, mayHaveContent: Bool) throws(ToolError) {
    isStandardOutput = path.text == "-"
    name = isStandardOutput ? "standard output" : path.text
    // Read when it is continued.
    let flags = O_CREAT | O_CLOEXEC | (mayHaveContent ? O_RDWR : O_WRONLY)
    descriptor = isStandardOutput ? STDOUT_FILENO : open(path.path, flags, 0o666)
    if descriptor < 0 { throw .system("cannot open \(name) for writing", errno) }
    let status = try fileStatus(descriptor, name)
    isFile = !isStandardOutput && status.st_mode & S_IFMT == S_IFREG
    if !isFile { return }
    if status.st_dev == input.st_dev, status.st_ino == input.st_ino {
      throw .usage("--input and --output are the same file: \(name)")
    }
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
      throw .usage("another process is writing \(name)")
    }
    if status.st_size > 0, !mayHaveContent {
      throw .usage("\(name) exists; use --resume to continue it or --force to overwrite it")
    }
  }

  deinit {
    if !isStandardOutput { close(descriptor) }
  }

  /// Keeps the whole lines that are there, each of which must answer the next line of `input`, and cuts off the beginning of
  /// another one.
  ///
  /// - Parameter kept: Receives each line that has an answer, in order.
  /// - Throws: `usage` when it is no output of this input; then it is as before.
  func resume(after input: inout BatchInput, kept: (BatchLine, _ isGood: Bool) -> Void) throws(ToolError) {
    if !isFile { return }
    var reader = InputReader(borrowing: descriptor, name: name)
    var end = 0
    var count = 0
    while let answer = try reader.readLine(atMost: Self.longestLine) {
      count += 1
      guard let line = try input.next() else {
        throw .usage("\(name) has more lines than the input, so it cannot be resumed")
      }
      guard answer.isWhole else {
        if !answer.isBeginning(of: line.index) { throw notOurs(count, line) }
        input.giveBack(line)
        break
      }
      guard let isGood = answer.isGood(for: line) else { throw notOurs(count, line) }
      kept(line, isGood)
      end += answer.byteCount
    }
    try truncate(to: end)
  }

  /// Longer than any answer.
  private static let longestLine = 1 << 28

  private func notOurs(_ count: Int, _ line: BatchLine) -> ToolError {
    .usage("line \(count) of \(name) does not answer line \(line.index) of the input, so it cannot be resumed")
  }

  /// Cuts off what is behind the first `length` bytes, and goes on there.
  func truncate(to length: Int) throws(ToolError) {
    if !isFile { return }
    if ftruncate(descriptor, length) != 0 || lseek(descriptor, length, SEEK_SET) < 0 {
      throw .system("cannot write to \(name)", errno)
    }
  }

  func write(_ line: BatchLine, _ outcome: Result<[(key: String, value: JSON)], ToolError>) throws(ToolError) {
    let members: [(key: String, value: JSON)]
    switch outcome {
    case .success(let answer): members = answer
    case .failure(let error): members = [("error", .object(error.members))]
    }
    var text = JSON.object([("index", .integer(line.index))] + line.names + members).text + "\n"
    let failure = text.withUTF8 { StandardOutput.write(UnsafeRawBufferPointer($0), to: descriptor) }
    if failure == EPIPE { throw .outputClosed }
    if failure != 0 { throw .system("cannot write to \(name)", failure) }
  }

  /// Waits until everything is on the disk.
  func synchronize() throws(ToolError) {
    if isFile, fsync(descriptor) != 0 { throw .system("cannot write to \(name)", errno) }
  }
}

extension InputReader.Line {
  /// Whether this could be the beginning of the answer to line `index`.
  fileprivate func isBeginning(of index: Int) -> Bool {
    let beginning = "{\"index\": \(index), ".characters
    return beginning.starts(with: characters.prefix(beginning.count))
  }

  /// Whether this is an answer and not an error; nil when it is neither, or of another line.
  fileprivate func isGood(for line: BatchLine) -> Bool? {
    guard isBeginning(of: line.index), let answer = try? JSON(parsing: String(characters: characters)) else {
      return nil
    }
    for name in line.names where answer[name.key].text != name.value.text { return nil }
    if case .null = answer["error"] { return true }
    return false
  }
}
