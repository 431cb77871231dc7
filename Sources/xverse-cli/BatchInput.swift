// BatchInput.swift -- the lines of a batch: a JSON object each, read when they are needed.

import CXverse
import Glibc

/// One line that is not blank.
struct BatchLine {
  /// Number of the line in the file: the first is 1, and blank lines count.
  let index: Int
  /// The members `id` and `custom_id`, which the answer repeats.
  private(set) var names: [(key: String, value: JSON)] = []
  /// The other members, or what is wrong with the line.
  private(set) var members: Result<[(key: String, value: JSON)], ToolError> = .success([])

  /// Most bytes of an `id`: many answers may wait for an earlier one.
  private static let longestName = 1024

  init(index: Int, _ line: InputReader.Line) {
    self.index = index
    do throws(ToolError) {
      members = .success(try read(line))
    } catch { members = .failure(error) }
  }

  /// The same to write an answer for, in less memory.
  var withoutMembers: BatchLine {
    var line = self
    line.members = .success([])
    return line
  }

  private mutating func read(_ line: InputReader.Line) throws(ToolError) -> [(key: String, value: JSON)] {
    if line.isTooLong {
      throw .failure(
        "the line has \(line.byteCount) bytes, expected at most \(BatchInput.longestLine)",
        status: xverse_status(XVERSE_E_LIMIT))
    }
    let text = line.characters.withUnsafeBytes { String(validating: $0, as: UTF8.self) }
    guard let text else { throw .failure("the line is not UTF-8", status: xverse_status(XVERSE_E_PARSE)) }
    guard case .object(let all) = try JSON(parsing: text, from: "the line") else {
      throw .invalid("the line is not a JSON object")
    }
    var seen: Set<String> = []
    var rest: [(key: String, value: JSON)] = []
    for member in all {
      if !seen.insert(member.key).inserted { throw .invalid("\(JSON.quoted(member.key)) is given twice") }
      switch (member.key, member.value) {
      case ("id", let value), ("custom_id", let value): try add(name: member.key, value)
      default: rest.append(member)
      }
    }
    return rest
  }

  private mutating func add(name: String, _ value: JSON) throws(ToolError) {
    switch value {
    case .string, .number: break
    default: throw .invalid("\"\(name)\" is neither a string nor a number")
    }
    if value.text.utf8.count > Self.longestName {
      throw .failure(
        "\"\(name)\" has \(value.text.utf8.count) bytes, expected at most \(Self.longestName)",
        status: xverse_status(XVERSE_E_LIMIT))
    }
    names.append((name, value))
  }
}

/// The file of `--input`.
struct BatchInput: ~Copyable {
  /// Most bytes of a line.
  static let longestLine = 16 << 20

  private var reader: InputReader
  private var lineCount = 0
  private var returned: BatchLine?

  init(path: Word) throws(ToolError) { reader = try InputReader(path: path) }

  func status() throws(ToolError) -> stat { try reader.status() }

  /// The next line that is not blank; nil at the end of the file.
  mutating func next() throws(ToolError) -> BatchLine? {
    if let line = returned {
      returned = nil
      return line
    }
    while let line = try reader.readLine(atMost: Self.longestLine) {
      lineCount += 1
      if !line.isBlank { return BatchLine(index: lineCount, line) }
    }
    return nil
  }

  /// Whether `next` need not wait for input.
  var isReady: Bool { returned != nil || reader.isReady }

  /// Makes `line` the next one again.
  mutating func giveBack(_ line: BatchLine) { returned = line }

  /// Whether it can be read twice.
  func isFile() throws(ToolError) -> Bool { try status().st_mode & S_IFMT == S_IFREG }

  /// How many lines of a file are not blank.
  static func countLines(path: Word) throws(ToolError) -> Int {
    var reader = try InputReader(path: path)
    var count = 0
    while let line = try reader.readLine(atMost: longestLine) { count += line.isBlank ? 0 : 1 }
    return count
  }
}

extension InputReader.Line {
  fileprivate var isBlank: Bool { !isTooLong && characters.allSatisfy { $0 == 32 || 9...13 ~= $0 } }
}

extension ToolError {
  /// What a line asks for is never right.
  static func invalid(_ message: String) -> Self { .failure(message, status: xverse_status(XVERSE_E_INVALID)) }
}
