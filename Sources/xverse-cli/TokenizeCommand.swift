// TokenizeCommand.swift -- `xverse tokenize`: shows how a text becomes token ids, or turns ids back into text.

import CXverse
import XverseMeasurement

enum TokenizeCommand: Command {
  static let specification = CommandSpecification(
    "tokenize",
    summary: "Show the tokens of a text, or decode token ids.",
    usages: ["MODEL [TEXT|-] [options]", "MODEL --decode [ID... | -] [options]"],
    details: """
      Prints a line for each token with its id and its bytes. MODEL may also be a tokenizer.json. Without TEXT, or with \
      '-', the text is read from standard input and used as it is, line breaks included. With --json the object has \
      "tokens", the ids, and "pieces", an object with "text" and "bytes" for each of them; "text" is null for bytes that \
      are not UTF-8. With --decode it has "tokens" and "text".
      """,
    examples: [
      Example("Show the tokens of a text.", "xverse tokenize XVERSE-7B-Chat \"How many tokens?\""),
      Example("Count the tokens of a file.", "xverse tokenize XVERSE-7B-Chat --ids < text.txt | wc -w"),
      Example("Turn ids back into text.", "xverse tokenize XVERSE-7B-Chat --decode 32 51 200"),
    ],
    operands: [
      .model, Operand(name: "TEXT", completion: .nothing, isOptional: true, isRepeatable: true),
    ],
    groups: [
      OptionGroup(
        "Tokens",
        [
          .flag("bos", "Put the BOS token first."),
          .flag("special", "Read special tokens in the text as tokens; with --decode, print them."),
          .flag("decode", "Turn ids, separated by spaces or commas, into text."),
        ]),
      OptionGroup(OptionGroup.output, [OptionGroup.json, .flag("ids", "Print only the ids, on one line.")]),
    ])

  static func run(_ arguments: Arguments) throws(ToolError) {
    if arguments.has("ids"), arguments.has("json") || arguments.has("decode") {
      throw .usage("--ids cannot be used with --json or --decode")
    }
    let tokenizer = try Tokenizer(path: arguments.operands[0])
    let operands = Array(arguments.operands.dropFirst())
    if arguments.has("decode") {
      let ids = try parseIDs(
        operands.map(\.text) == ["-"] || operands.isEmpty ? [readInput()] : operands.map(\.characters))
      let flags = arguments.has("special") ? XVERSE_DECODE_PLAIN : XVERSE_DECODE_SKIP_SPECIAL
      let text = try tokenizer.decode(ids, flags: Int(flags))
      let object = JSON.object([("tokens", .array(ids.map { .integer($0) })), ("text", .string(text))])
      return try StandardOutput.write((arguments.has("json") ? object.text : text) + "\n")
    }
    if operands.count > 1 {
      throw .usage("tokenize: unexpected argument '\(operands[1].text)' (quote text that contains spaces)")
    }
    let text = operands.isEmpty || operands.map(\.text) == ["-"] ? try readInput() : operands[0].characters
    var flags = Int(XVERSE_ENCODE_PLAIN)
    if arguments.has("bos") { flags |= Int(XVERSE_ENCODE_BOS) }
    if arguments.has("special") { flags |= Int(XVERSE_ENCODE_SPECIAL) }
    let ids = try tokenizer.encode(text, flags: flags)
    if arguments.has("json") { return try StandardOutput.write(json(of: ids, tokenizer).text + "\n") }
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

  private static func json(of ids: [Int32], _ tokenizer: Tokenizer) throws(ToolError) -> JSON {
    var pieces: [JSON] = []
    for id in ids {
      let bytes = try tokenizer.bytes(of: id)
      let text = String(validating: bytes, as: UTF8.self)
      pieces.append(
        .object([("text", text.map(JSON.string) ?? .null), ("bytes", .array(bytes.map { .integer($0) }))]))
    }
    return .object([("tokens", .array(ids.map { .integer($0) })), ("pieces", .array(pieces))])
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
