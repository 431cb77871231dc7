// GGUFSplitName.swift -- the names of a GGUF model's parts, as llama.cpp's gguf-split gives them: name-00001-of-00003.gguf.

import XverseCore

/// The name of the first of several files.
struct GGUFSplitName {
  static let maximumCount = 1000

  /// What stands before "-00001-of-".
  private let prefix: [UInt8]
  private let count: Int

  /// nil for a name that tells of no parts.
  ///
  /// - Throws: `invalid` for a part that is not the first, `limit` for too many.
  init?(_ name: FilePath, in directory: String) throws(XverseError) {
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

  /// - Throws: `invalid` for a name that is too long.
  func allNames() throws(XverseError) -> [FilePath] {
    var names: [FilePath] = []
    for number in 1...count {
      names.append(try FilePath(bytes: prefix + "-\(Self.digits(number))-of-\(Self.digits(count)).gguf".utf8))
    }
    return names
  }

  /// Whether a file is a part behind the first one.
  static func isLaterPart(_ name: FilePath) -> Bool { parts(of: name).map { $0.number > 1 } ?? false }

  private static func parts(of name: FilePath) -> (prefix: [UInt8], number: Int, count: Int)? {
    guard name.hasSuffix(".gguf") else { return nil }
    let pieces = name.bytes.dropLast(5).split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard pieces.count >= 4, pieces[pieces.count - 2].elementsEqual("of".utf8),
      let number = number(pieces[pieces.count - 3]), let count = Self.number(pieces[pieces.count - 1]),
      number >= 1, number <= count
    else { return nil }
    // "-00001-of-00003" and the suffix.
    return (Array(name.bytes.dropLast(15 + 5)), number, count)
  }

  /// Five digits.
  private static func number(_ text: ArraySlice<UInt8>) -> Int? {
    guard text.count == 5, text.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(String(decoding: text, as: UTF8.self))
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
