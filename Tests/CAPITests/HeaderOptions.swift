// HeaderOptions.swift -- the options that section 2 of xverse.h lists, read from the header itself, so that a test
// finds what differs between it and the table of the library.

import Foundation
import Testing

/// The block of one kind of options.
struct HeaderOptions: Sendable, CustomTestStringConvertible {
  struct Entry: Sendable {
    let key: String
    fileprivate(set) var text: String

    /// The choices that the text begins with, `a | b: what they do` or `a: what it does.  b: what it does`; nil for
    /// none. One that takes a factor ends in ":", as in xverse_option_info.
    var choices: [String]? {
      if let list = text.prefixMatch(of: /[a-z]\w*(:FACTOR)?( \| [a-z]\w*(:FACTOR)?)+/) {
        return list.0.replacing("FACTOR", with: "").split(separator: " | ").map(String.init)
      }
      let sentences = text.matches(of: /(?:^|\.\ +)([a-z]\w*):\s/).map { String($0.1) }
      return text.contains(/^[a-z]\w*:\s/) ? sentences : nil
    }

    var isPath: Bool { text.hasPrefix("path of ") }
  }

  /// The name without XVERSE_OPTIONS_.
  let name: String
  /// The value of XVERSE_OPTIONS_*; nil when there is no such constant.
  let kind: Int?
  fileprivate(set) var entries: [Entry] = []

  var testDescription: String { name }

  /// The blocks of xverse.h; none when it cannot be read.
  static let all = (try? Declaration.header()).map(parse) ?? []

  /// The names of the constants XVERSE_OPTIONS_* and their values.
  static func kinds(in header: String) -> [String: Int] {
    let constants = header.matches(of: /XVERSE_OPTIONS_([A-Z]+) = (\d+)/).map { (String($0.1), Int($0.2) ?? -1) }
    return Dictionary(constants) { first, _ in first }
  }

  /// Reads lines of the form ` * KIND      key other_key  text`: the kind stands in its first line only, a line without
  /// a key continues the text before it.
  static func parse(_ header: String) -> [HeaderOptions] {
    let kinds = kinds(in: header)
    let lines = header.split(separator: "\n", omittingEmptySubsequences: false)
    var blocks: [HeaderOptions] = []
    for line in lines.drop(while: { !$0.hasPrefix(" * RUNTIME ") }).prefix(while: { $0 != " */" }) {
      let name = line.dropFirst(3).prefix(10).trimmingCharacters(in: .whitespaces)
      if !name.isEmpty { blocks.append(HeaderOptions(name: name, kind: kinds[name])) }
      guard !blocks.isEmpty else { continue }
      blocks[blocks.count - 1].read(line.dropFirst(13))
    }
    return blocks.map { $0.resolved(in: blocks) }
  }

  private mutating func read(_ line: Substring) {
    if let match = line.wholeMatch(of: /([a-z0-9_]+(?: [a-z0-9_]+)*)\ {2,}(\S.*)/) {
      entries += match.1.split(separator: " ").map { Entry(key: String($0), text: String(match.2)) }
    } else if line.hasPrefix(" "), !entries.isEmpty {
      entries[entries.count - 1].text += " " + line.trimmingCharacters(in: .whitespaces)
    }
  }

  /// The block with the text of another in place of "as for KIND".
  private func resolved(in blocks: [HeaderOptions]) -> HeaderOptions {
    var block = self
    for index in entries.indices where entries[index].text.hasPrefix("as for ") {
      let other = blocks.first { $0.name == entries[index].text.dropFirst(7) }
      let entry = other?.entries.first { $0.key == entries[index].key }
      block.entries[index].text = entry?.text ?? ""
    }
    return block
  }
}
