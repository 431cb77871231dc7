// Declarations.swift -- the functions of xverse.h and their parameters, read from the header itself, so that a function
// that no test knows is noticed.

import Foundation

/// A function of xverse.h.
struct Declaration {
  struct Parameter {
    let name: String
    let isPointer: Bool
  }

  let name: String
  let parameters: [Parameter]

  /// The text of the header.
  static func header() throws -> String {
    let header = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../include/xverse.h")
    return try String(contentsOf: header, encoding: .utf8)
  }

  /// All of them, in the order of the header.
  static func all() throws -> [Declaration] {
    let code = try header().replacing(/\/\*(?s:.*?)\*\//, with: " ").replacing(/(?m)^#.*$/, with: "")
    return code.matches(of: /\b(xverse_[a-z0-9_]+)\(([^;{}]*?)\);/).map { match in
      Declaration(name: String(match.1), parameters: match.2.split(separator: ",").compactMap(Parameter.init))
    }
  }
}

extension Declaration.Parameter {
  /// nil for the `void` of an empty list.
  init?(_ text: Substring) {
    guard let name = text.firstMatch(of: /(\w+)\s*$/)?.1, name != "void" else { return nil }
    self.name = String(name)
    isPointer = text.contains("*") || text.contains("_fn ")
  }
}
