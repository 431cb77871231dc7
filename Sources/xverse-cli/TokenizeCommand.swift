// TokenizeCommand.swift -- `xverse tokenize`: shows how a text becomes token ids, or turns ids back into text.

import CXverse
import XverseMeasurement

enum TokenizeCommand: Command {
  static let specification = CommandSpecification(
    "tokenize",
    summary: "Show the tokens of a text, or decode token ids.",
    usage: "MODEL|tokenizer.json [TEXT|-] [options]",
    details: """
      Prints a line a token: its id and its bytes. Without TEXT, or with '-', the text is read from standard input and
      used as it is, line breaks included.
      """,
    operands: 1...Int.max,
    options: [
      .flag("ids", "Print only the ids, on one line."),
      .flag("bos", "Put the begin-of-text token first."),
      .flag("special", "Read special tokens in the text as tokens; with --decode: write them."),
      .flag("decode", "The other way: the arguments (or standard input) are ids, the output is text."),
    ])

  static func run(_ arguments: Arguments) throws(ToolError) {
    let tokenizer = try Tokenizer(path: arguments.operands[0])
    let operands = Array(arguments.operands.dropFirst())
    if arguments.has("decode") {
      let ids = try parseIDs(
        operands.map(\.text) == ["-"] || operands.isEmpty ? [readInput()] : operands.map(\.characters))
      let flags = arguments.has("special") ? XVERSE_DECODE_PLAIN : XVERSE_DECODE_SKIP_SPECIAL
      try StandardOutput.write(try tokenizer.decode(ids, flags: Int(flags)) + "\n")
      return
    }
    if operands.count > 1 {
      throw .usage("tokenize: unexpected argument '\(operands[1].text)' (quote text that has spaces in it)")
    }
    let text = operands.isEmpty || operands.map(\.text) == ["-"] ? try readInput() : operands[0].characters
    var flags = Int(XVERSE_ENCODE_PLAIN)
    if arguments.has("bos") { flags |= Int(XVERSE_ENCODE_BOS) }
    if arguments.has("special") { flags |= Int(XVERSE_ENCODE_SPECIAL) }
    let ids = try tokenizer.encode(text, flags: flags)
    try StandardOutput.write(arguments.has("ids") ? line(of: ids) : try table(of: ids, tokenizer))
  }

  private static func readInput() throws(ToolError) -> [CChar] {
    var reader = try InputReader(path: "-")
    return try reader.readAll()
  }

  private static func line(of ids: [Int32]) -> String { ids.map { "\($0)" }.joined(separator: " ") + "\n" }

  private static func table(of ids: [Int32], _ tokenizer: Tokenizer) throws(ToolError) -> String {
    var text = ""
    for id in ids { text += "\(Format.rightAligned("\(id)", 6))  \(try tokenizer.quotedPiece(id))\n" }
    return text
  }

  /// Numbers between spaces, commas or brackets, as `--ids` and JSON write them.
  private static func parseIDs(_ texts: [[CChar]]) throws(ToolError) -> [Int32] {
    var ids: [Int32] = []
    for text in texts {
      for word in String(characters: text).split(whereSeparator: { $0.isWhitespace || ",[]".contains($0) }) {
        guard let id = Int32(word) else { throw .usage("'\(word)' is not a token id") }
        ids.append(id)
      }
    }
    return ids
  }
}
