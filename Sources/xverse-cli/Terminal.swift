// Terminal.swift -- what may be written to a stream beyond plain text: colours and lines that are written again.

import Glibc

struct Terminal: Sendable {
  /// Whether the stream is a terminal that understands escape sequences.
  let rewritesLines: Bool
  /// Whether it also wants colours: see no-color.org.
  let hasColors: Bool
  private let descriptor: Int32

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    let type = Self.variable("TERM")
    rewritesLines = isatty(descriptor) == 1 && !type.isEmpty && type != "dumb"
    hasColors = rewritesLines && Self.variable("NO_COLOR").isEmpty
  }

  private static func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }

  func bold(_ text: String) -> String { hasColors ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

  func red(_ text: String) -> String { hasColors ? "\u{1B}[1;31m\(text)\u{1B}[0m" : text }

  /// Characters in a line, as the terminal is now; 80 when it does not say.
  var width: Int {
    var size = winsize()
    return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }
}
