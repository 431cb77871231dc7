// DocumentationTests.swift -- docs/openai.md against the code.

import Foundation
import Testing

@testable import XverseOpenAI

@Suite("docs/openai.md")
struct DocumentationTests {
  @Test("has one row for each field of a request, and says which requests have it")
  func fields() throws {
    let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../docs/openai.md")
    let rows = try String(contentsOf: page, encoding: .utf8).matches(of: /(?m)^\| `(\w+)` \| (.*)$/)
    #expect(rows.map { String($0.1) }.sorted() == RequestField.allCases.map(\.rawValue).sorted())
    for row in rows {
      let field = try #require(RequestField(rawValue: String(row.1)))
      guard field.belongs(to: .chat) != field.belongs(to: .text) else { continue }
      #expect(row.2.hasPrefix(field.belongs(to: .chat) ? "chat: " : "completions: "), "\(field)")
    }
  }
}
