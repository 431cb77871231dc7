// Word.swift -- one word of the command line: bytes to the system, text to people.

/// Bytes in whatever encoding the caller's shell and file system have.
struct Word: ExpressibleByStringLiteral {
  let bytes: [UInt8]

  init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

  init(stringLiteral text: String) { bytes = Array(text.utf8) }

  /// The word for people: bytes that are not UTF-8 are U+FFFD.
  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// The bytes as C's characters, without a terminator.
  var characters: [CChar] { bytes.map { CChar(bitPattern: $0) } }

  /// The same as a path for C.
  var path: [CChar] { characters + [0] }

  /// The words after the program's name.
  static var ofCommandLine: [Word] {
    (1..<max(1, Int(CommandLine.argc))).compactMap { index in
      CommandLine.unsafeArgv[index].map { word in
        var count = 0
        while word[count] != 0 { count += 1 }
        return Word(UnsafeRawBufferPointer(start: word, count: count))
      }
    }
  }
}
