// WordPattern.swift -- the patterns that cut a text into words before byte-pair encoding. Each is matched by a scanner
// written by hand: linear, without recursion, whatever the text.

import XverseCore

enum WordPattern {
  case gpt2, llama3

  /// Calls `body` with every word in order; no byte is left out.
  func forEachWord(
    of piece: TextPiece, _ body: (TextPiece) throws(XverseError) -> Void
  ) throws(XverseError) {
    switch self {
    case .gpt2:
      var scanner = GPT2WordScanner(piece.bytes)
      while let word = scanner.next() { try body(piece[word]) }
    case .llama3:
      var scanner = Llama3WordScanner(piece.bytes)
      while let word = scanner.next() { try body(piece[word]) }
    }
  }
}

/// Finds the matches of the GPT-2 pattern, which leaves no byte out:
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// A byte that is not UTF-8 counts as a character of the third class.
struct GPT2WordScanner {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func next() -> Range<Int>? {
    guard position < bytes.count else { return nil }
    let start = position
    if let length = Contraction.length(in: bytes, at: position, ignoringCase: false) {
      position += length
    } else if wordClass(at: start) != .whitespace {
      skipRun()
    } else if bytes[start] == UInt8(ascii: " "), start + 1 < bytes.count, wordClass(at: start + 1) != .whitespace {
      position += 1
      skipRun()
    } else {
      skipWhitespace()
    }
    return start..<position
  }

  /// Moves past the longest run of characters of the class at the position.
  private mutating func skipRun() {
    let runClass = wordClass(at: position)
    repeat {
      position += UTF8Scalar.characterLength(in: bytes, at: position)
    } while position < bytes.count && wordClass(at: position) == runClass
  }

  /// Moves past a run of white space, but for its last character when a word follows: that one belongs to the word.
  private mutating func skipWhitespace() {
    let start = position
    var last = position
    while position < bytes.count, wordClass(at: position) == .whitespace {
      last = position
      position += UTF8Scalar.characterLength(in: bytes, at: position)
    }
    if position < bytes.count && last > start { position = last }
  }

  private func wordClass(at position: Int) -> Unicode.Scalar.WordClass { bytes.wordClass(at: position) }
}

/// Finds the matches of the pattern of Llama 3, which leaves no byte out:
///
///     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
///       |\s*[\r\n]+|\s+(?!\S)|\s+
///
/// A byte that is not UTF-8 counts as a character of the class `[^\s\p{L}\p{N}]`.
struct Llama3WordScanner {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func next() -> Range<Int>? {
    guard position < bytes.count else { return nil }
    let start = position
    if let length = Contraction.length(in: bytes, at: position, ignoringCase: true) {
      position += length
    } else if !skipLetters() && !skipNumber() && !skipSymbols() {
      skipWhitespace()
    }
    return start..<position
  }

  /// Moves past letters and the one character before them that is neither a number nor ends a line.
  private mutating func skipLetters() -> Bool {
    var first = position
    if wordClass(at: first) != .letter {
      guard wordClass(at: first) != .number, !isLineEnd(first) else { return false }
      first += UTF8Scalar.characterLength(in: bytes, at: first)
      guard first < bytes.count, wordClass(at: first) == .letter else { return false }
    }
    position = endOfRun(.letter, from: first)
    return true
  }

  private mutating func skipNumber() -> Bool {
    var count = 0
    while count < 3, position < bytes.count, wordClass(at: position) == .number {
      position += UTF8Scalar.characterLength(in: bytes, at: position)
      count += 1
    }
    return count > 0
  }

  /// Moves past other characters, a space before them and the ends of lines behind them.
  private mutating func skipSymbols() -> Bool {
    let first = bytes[position] == UInt8(ascii: " ") ? position + 1 : position
    let end = endOfRun(.other, from: first)
    guard end > first else { return false }
    position = end
    while position < bytes.count, isLineEnd(position) { position += 1 }
    return true
  }

  /// Moves past a run of white space as far as its last end of a line; without one, past all of it but for its last
  /// character when something follows: that one may belong to a word.
  private mutating func skipWhitespace() {
    let start = position
    var last = position
    var lineEnd: Int?
    while position < bytes.count, wordClass(at: position) == .whitespace {
      last = position
      if isLineEnd(position) { lineEnd = position + 1 }
      position += UTF8Scalar.characterLength(in: bytes, at: position)
    }
    if let lineEnd {
      position = lineEnd
    } else if position < bytes.count && last > start {
      position = last
    }
  }

  private func endOfRun(_ wordClass: Unicode.Scalar.WordClass, from start: Int) -> Int {
    var end = start
    while end < bytes.count, self.wordClass(at: end) == wordClass {
      end += UTF8Scalar.characterLength(in: bytes, at: end)
    }
    return end
  }

  private func isLineEnd(_ position: Int) -> Bool {
    bytes[position] == UInt8(ascii: "\n") || bytes[position] == UInt8(ascii: "\r")
  }

  private func wordClass(at position: Int) -> Unicode.Scalar.WordClass { bytes.wordClass(at: position) }
}

/// The English contractions of the patterns: `'s|'t|'re|'ve|'m|'ll|'d`.
private enum Contraction {
  /// Length of the contraction at `position`, which is inside the text.
  static func length(in bytes: UnsafeRawBufferPointer, at position: Int, ignoringCase: Bool) -> Int? {
    guard bytes[position] == UInt8(ascii: "'"), position + 1 < bytes.count else { return nil }
    let letter = { (index: Int) in ignoringCase ? bytes[index] | 0x20 : bytes[index] }
    let second = letter(position + 1)
    switch second {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"), UInt8(ascii: "l"):
      let last = second == UInt8(ascii: "l") ? second : UInt8(ascii: "e")
      return position + 2 < bytes.count && letter(position + 2) == last ? 3 : nil
    default: return nil
    }
  }
}

extension UnsafeRawBufferPointer {
  /// The class of the character at `position`, which is inside the text.
  fileprivate func wordClass(at position: Int) -> Unicode.Scalar.WordClass {
    UTF8Scalar.scalar(in: self, at: position)?.wordClass ?? .other
  }
}
