// ScoreCommand.swift -- `xverse score`: the log-probabilities of many texts.

import CXverse
import Glibc

enum ScoreCommand: Command {
  static let specification = CommandSpecification(
    "score",
    summary: "Compute the log-probabilities of texts.",
    usages: ["MODEL --input FILE --output FILE [options]"],
    details: """
      A line of the input has {"text": TEXT}, or {"prompt": TEXT, "completion": TEXT} to score only the completion. It \
      may have "id" or "custom_id". An answer has "sum", the natural logarithm of the probability; "n_tokens", the number \
      of tokens in the sum; and "perplexity", exp(-sum / n_tokens). With --logprobs it also has "tokens" and "logprobs". \
      The very first token has no probability and is not in the sum; with --bos it is the BOS token. A completion begins \
      with the first token that the prompt alone does not have.

      \(Batch.details)
      """,
    examples: [
      Example("Score a file of texts.", "xverse score XVERSE-7B-Chat --input texts.jsonl --output scores.jsonl"),
      Example(
        "Use it in a pipe.", "xverse score XVERSE-7B-Chat --bos --input - --output - < texts.jsonl"),
    ],
    operands: [.model],
    groups: [
      OptionGroup("Batch", Batch.options),
      OptionGroup(
        "Scoring",
        [
          .flag("bos", "Begin with the BOS token."),
          .flag("logprobs", "Also write the log-probability of every token."),
        ]), OptionGroup("Context", LibraryOptions.specifications(.session, except: ["overflow"])),
    ] + Model.options + [OptionGroup(OptionGroup.output, [OptionGroup.json, OptionGroup.quiet])])

  static func run(_ arguments: Arguments) throws(ToolError) {
    try Session.check(arguments)
    try Batch.run(arguments) { (batch) throws(ToolError) in
      try answer(batch, arguments)
      return nil
    }
  }

  private static func answer(_ batch: Batch, _ arguments: Arguments) throws(ToolError) {
    let model = try Model(arguments)
    let scoring = Scoring(model, try Session(model, arguments), beginsWithBOS: arguments.has("bos"))
    batch.showProgress()
    while let line = try batch.nextLine() {
      try Interrupt.check()
      let outcome: Result<[(key: String, value: JSON)], ToolError>
      do throws(ToolError) {
        let score = try scoring.score(try line.members.get())
        batch.add(tokens: score.tokens.count)
        outcome = .success(members(of: score, withTokens: arguments.has("logprobs")))
      } catch .failure(let message, let status) {
        outcome = .failure(.failure(message, status: status))
      }
      try batch.write(line, outcome)
    }
  }

  private static func members(of score: Scoring.Score, withTokens: Bool) -> [(key: String, value: JSON)] {
    let count = score.tokens.count
    var members: [(key: String, value: JSON)] = [
      ("sum", .real(score.sum)), ("n_tokens", .integer(count)),
      ("perplexity", count > 0 ? .real(exp(-score.sum / Double(count))) : .null),
    ]
    if withTokens {
      members.append(("tokens", .array(score.tokens.map { .integer($0) })))
      members.append(("logprobs", .array(score.logprobs.map { .real(Double($0)) })))
    }
    return members
  }
}

/// Scores texts one after the other in a session.
private final class Scoring {
  struct Score {
    /// Those that have a probability.
    let tokens: [Int32]
    let logprobs: [Float]
    let sum: Double
  }

  private let session: Session
  private let tokenizer: Tokenizer
  private let flags: Int
  /// What the session holds.
  private var held: [Int32] = []

  init(_ model: Model, _ session: Session, beginsWithBOS: Bool) {
    self.session = session
    tokenizer = model.tokenizer
    flags = Int(beginsWithBOS ? XVERSE_ENCODE_BOS : XVERSE_ENCODE_PLAIN)
  }

  func score(_ members: [(key: String, value: JSON)]) throws(ToolError) -> Score {
    var texts: [String: String] = [:]
    for member in members {
      guard ["text", "prompt", "completion"].contains(member.key) else {
        throw .invalid("\(JSON.quoted(member.key)) is unknown, expected \"text\", or \"prompt\" and \"completion\"")
      }
      guard let text = member.value.stringValue else { throw .invalid("\"\(member.key)\" is not a string") }
      texts[member.key] = text
    }
    switch (texts["text"], texts["prompt"], texts["completion"]) {
    case (let text?, nil, nil): return try score(try tokens(text), from: 1)
    case (nil, let prompt?, let completion?):
      let whole = try tokens(prompt + completion)
      return try score(whole, from: Self.commonCount(whole, try tokens(prompt)))
    default: throw .invalid("expected \"text\", or \"prompt\" and \"completion\"")
    }
  }

  private func tokens(_ text: String) throws(ToolError) -> [Int32] {
    try tokenizer.encode(text.characters, flags: flags)
  }

  /// Scores the tokens at `start` and after it, of which the first token of all is none.
  private func score(_ tokens: [Int32], from start: Int) throws(ToolError) -> Score {
    let start = min(max(1, start), tokens.count)
    // A line that begins as the one before it costs only the rest; the last token before `start` is evaluated for its
    // logits.
    let kept = min(Self.commonCount(held, tokens), max(0, start - 1))
    held = []
    try session.truncate(kept)
    try session.evaluate(Array(tokens[kept..<start]))
    let scored = Array(tokens[start...])
    let (logprobs, sum) = try session.score(scored)
    held = tokens
    return Score(tokens: scored, logprobs: logprobs, sum: sum)
  }

  private static func commonCount(_ first: [Int32], _ second: [Int32]) -> Int {
    zip(first, second).prefix { $0 == $1 }.count
  }
}
