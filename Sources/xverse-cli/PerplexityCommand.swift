// PerplexityCommand.swift -- `xverse perplexity`: how well the model predicts a text.

import CXverse
import XverseMeasurement

enum PerplexityCommand: Command {
  static let specification = CommandSpecification(
    "perplexity",
    summary: "Measure how well the model predicts a text.",
    usage: "MODEL FILE|- [options]",
    details: """
      Cuts the text into windows that do not overlap and prints exp(mean negative log-likelihood a token) with its
      standard error.
      """,
    operands: 2...2,
    options: LibraryOptions.specifications(.score) + Model.options + [
      .flag("json", "Print a JSON object.")
    ])

  static func run(_ arguments: Arguments) throws(ToolError) {
    let options = try LibraryOptions(.score, from: arguments)
    try Interrupt.install()
    var reader = try InputReader(path: arguments.operands[1])
    let text = try reader.readAll()
    let model = try Model(arguments)
    var progress = ProgressLine()
    var perplexity = 0.0
    var standardError = 0.0
    let status = withUnsafeMutablePointer(to: &progress) { progress in
      xverse_model_perplexity(
        model.handle, text, text.count, options.handle, Interrupt.cancel, ProgressLine.callback, progress,
        &perplexity, &standardError)
    }
    progress.clear()
    try Library.check(status)
    if arguments.has("json") {
      let result = JSON.object([("perplexity", .real(perplexity)), ("standard_error", .real(standardError))])
      try StandardOutput.write(result.text + "\n")
    } else {
      try StandardOutput.write("perplexity \(Format.fixed(perplexity, 4)) +/- \(Format.fixed(standardError, 4))\n")
    }
  }
}
