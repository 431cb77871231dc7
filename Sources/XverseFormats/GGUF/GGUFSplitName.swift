// GGUFSplitName.swift -- the names of a GGUF model's parts, as llama.cpp's gguf-split gives them: name-00001-of-00003.gguf.

import XverseCore

/// The name of the first of several files.
struct GGUFSplitName {
  static let maximumCount = 1000

  /// What stands before "-00001-of-".
  private let prefix: String
  private let count: Int

  /// nil for a name that tells of no parts.
  ///
  /// - Throws: `invalid` for a part that is not the first, `limit` for too many.
  init?(_ name: String, in directory: String) throws(XverseError) {
    guard let (prefix, number, count) = Self.parts(of: name), count > 1 else { return nil }
    guard number == 1 else {
      throw .invalid(
        "\(directory.inMessage): '\(name.inMessage)' is part \(number) of \(count), expected the path of part 1")
    }
    guard count <= Self.maximumCount else {
      throw .limit(
        "\(directory.inMessage): '\(name.inMessage)' is one of \(count) parts, expected at most \(Self.maximumCount)")
    }
    self.prefix = prefix
    self.count = count
  }

  var allNames: [String] {
    (1...count).map { "\(prefix)-\(Self.digits($0))-of-\(Self.digits(count)).gguf" }
  }

  /// Whether a file is a part behind the first one.
  static func isLaterPart(_ name: String) -> Bool { parts(of: name).map { $0.number > 1 } ?? false }

  private static func parts(of name: String) -> (prefix: String, number: Int, count: Int)? {
    let pieces = name.split(separator: "-", omittingEmptySubsequences: false)
    guard pieces.count >= 4, pieces[pieces.count - 2] == "of", let number = number(pieces[pieces.count - 3]),
      let last = pieces.last, last.hasSuffix(".gguf"), let count = Self.number(last.dropLast(5)), 1...count ~= number
    else { return nil }
    return (pieces.dropLast(3).joined(separator: "-"), number, count)
  }

  /// Five digits.
  private static func number(_ text: Substring) -> Int? {
    guard text.utf8.count == 5, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }

  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.utf8.count)) + text
  }
}

extension GGUFMetadata {
  /// Checks that the file is the part that its name says, numbered from 0.
  func requirePart(_ number: Int, of count: Int) throws(XverseError) {
    let told = self["split.count"]?.integer ?? 1
    if max(told, 1) == 1, count == 1 { return }
    guard told == count else {
      throw XverseError(
        count == 1 ? .unsupported : .corrupt,
        "\(source): 'split.count' is \(told), expected \(count): the parts must have the names that they were made with, "
          + "ending in -00001-of-0000N.gguf")
    }
    guard let told = self["split.no"]?.integer, told == number else {
      throw .corrupt("\(source): 'split.no' is \(self["split.no"]?.description ?? "missing"), expected \(number)")
    }
  }
}
