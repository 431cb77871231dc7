// PerplexityCommand.swift -- `xverse perplexity`: how well the model predicts a text.

import CXverse
import XverseMeasurement

enum PerplexityCommand: Command {
  static let specification = CommandSpecification(
    "perplexity",
    summary: "Measure how well the model predicts a text.",
    usages: ["MODEL FILE|- [options]"],
    details: """
      Cuts the text into windows that do not overlap and prints exp(mean negative log-likelihood of a token) with its \
      standard error. With --json the object has "perplexity" and "standard_error".
      """,
    examples: [
      Example("Score a text.", "xverse perplexity XVERSE-7B-Chat text.txt"),
      Example("See what int4 costs.", "xverse perplexity XVERSE-7B-Chat text.txt --quantize int4 --json"),
    ],
    operands: [.model, Operand(name: "FILE", completion: .path)],
    groups: [OptionGroup("Scoring", LibraryOptions.specifications(.score))] + Model.options + [
      OptionGroup(OptionGroup.output, [OptionGroup.json, OptionGroup.quiet])
    ])

  static func run(_ arguments: Arguments) throws(ToolError) {
    let options = try LibraryOptions(.score, from: arguments)
    try Interrupt.install()
    var reader = try InputReader(path: arguments.operands[1])
    let text = try reader.readAll()
    let model = try Model(arguments)
    var perplexity = 0.0
    var standardError = 0.0
    try Progress.show(arguments) { user in
      xverse_model_perplexity(
        model.handle, text, text.count, options.handle, Interrupt.cancel, Progress.callback, user, &perplexity,
        &standardError)
    }
    if arguments.has("json") {
      let result = JSON.object([("perplexity", .real(perplexity)), ("standard_error", .real(standardError))])
      try StandardOutput.write(result.text + "\n")
    } else {
      try StandardOutput.write("perplexity \(Format.fixed(perplexity, 4)) +/- \(Format.fixed(standardError, 4))\n")
    }
  }
}
