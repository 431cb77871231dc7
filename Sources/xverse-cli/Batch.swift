// Batch.swift -- what `xverse generate --input` and `xverse score` have in common: a file of lines in, a file of lines out,
// in the same order, with bad lines reported and the others answered.

import CXverse

final class Batch {
  private var input: BatchInput
  private let output: BatchOutput
  private let command: String
  private var progress: Progress
  /// Lines of the input; nil when that is not known.
  private let total: Int64?
  private var lineCount = 0
  /// Lines that an earlier run answered.
  private var keptCount = 0
  /// Of this run.
  private var tokenCount = 0
  /// Numbers of the first lines that failed.
  private var failedLines: [Int] = []
  private var failedCount = 0

  static let options: [OptionSpecification] = [
    .path("input", "Answer each line of FILE, which has a JSON object on each line; '-' is standard input."),
    .path("output", "Write the answers to FILE, a JSON object on each line; '-' is standard output."),
    .flag("resume", "Continue an earlier run with the same input and output."),
    .flag("force", "Overwrite the output."),
  ]

  /// For the help of a command with these options.
  static let details = """
    Each answer has "index", the number of its line in the input (the first line is 1; blank lines count but get no \
    answer), and the "id" or "custom_id" of that line. Answers are in the order of the input. A line that is wrong or \
    fails gets {"index": ..., "error": {"status": "XVERSE_E_...", "message": ...}} in place of an answer. The other lines \
    are answered all the same; at the end the failed lines are listed and the exit status is 1.

    To continue a run that ended early for any reason, repeat its command with --resume. The output becomes the same as \
    from one run, unless it depends on random numbers without a seed or on time. Errors are kept, too. With --json a \
    summary is printed: "lines", "kept_lines" (of an earlier run), "failed_lines", "tokens", "seconds" and "output".
    """

  /// Opens both files and finds where to begin.
  private init(_ arguments: Arguments) throws(ToolError) {
    guard let inputPath = arguments.word("input"), let outputPath = arguments.word("output") else {
      throw .usage("--input and --output must be used together")
    }
    let (resumes, overwrites) = (arguments.has("resume"), arguments.has("force"))
    if resumes && overwrites { throw .usage("--resume and --force cannot be used together") }
    for option in ["resume", "json"] where arguments.has(option) && outputPath.text == "-" {
      throw .usage("--\(option) needs an output that is a file")
    }
    command = arguments.command
    input = try BatchInput(path: inputPath)
    output = try BatchOutput(path: outputPath, input: input.status(), mayHaveContent: resumes || overwrites)
    progress = Progress(arguments)
    // A pipe cannot be read twice, nor even opened twice.
    let isFile = inputPath.text == "-" ? false : try input.isFile()
    total = isFile && !arguments.has("quiet") ? Int64(try BatchInput.countLines(path: inputPath)) : nil
    if resumes { try resume() } else { try output.truncate(to: 0) }
  }

  private func resume() throws(ToolError) {
    try output.resume(after: &input) { line, isGood in
      count(line.index, isGood: isGood)
      keptCount += 1
    }
  }

  /// Runs a batch whose lines `answer` answers, each with `write`.
  ///
  /// - Parameter answer: Returns what there is to tell in the end.
  /// - Throws: `failure` when lines failed; what opening the files, `answer` or the system throws.
  static func run(_ arguments: Arguments, answer: (Batch) throws(ToolError) -> String?) throws(ToolError) {
    let batch = try Batch(arguments)
    try Interrupt.install()
    let note: String?
    do throws(ToolError) {
      note = try answer(batch)
      try batch.output.synchronize()
    } catch {
      batch.progress.finish(always: true)
      throw error
    }
    let summary = batch.summary
    batch.progress.finish(always: true)
    if let note { StandardError.write(note + "\n") }
    if arguments.has("json") { try StandardOutput.write(summary.text + "\n") }
    try batch.checkFailures()
  }

  /// The next line to answer; nil when there are no more.
  func nextLine() throws(ToolError) -> BatchLine? { try input.next() }

  /// Writes the answer to the line after the one that was written last.
  func write(_ line: BatchLine, _ outcome: Result<[(key: String, value: JSON)], ToolError>) throws(ToolError) {
    try output.write(line, outcome)
    if case .success = outcome { count(line.index, isGood: true) } else { count(line.index, isGood: false) }
    showProgress()
  }

  /// Whether `nextLine` returns without waiting for somebody to write the line.
  var hasLine: Bool { input.isReady }

  func add(tokens: Int) { tokenCount += tokens }

  /// The first call starts the clock.
  func showProgress() {
    progress.report(
      Progress.State(
        phase: command, unit: "lines", done: Int64(lineCount), total: total, doneBefore: Int64(keptCount),
        tokens: Int64(tokenCount)))
  }

  private var summary: JSON {
    .object([
      ("lines", .integer(lineCount)), ("kept_lines", .integer(keptCount)), ("failed_lines", .integer(failedCount)),
      ("tokens", .integer(tokenCount)), ("seconds", .real(progress.elapsed)), ("output", .string(output.name)),
    ])
  }

  private func checkFailures() throws(ToolError) {
    if failedCount == 0 { return }
    let numbers = failedLines.map(String.init).joined(separator: ", ")
    let others = failedCount - failedLines.count
    throw .failure(
      "\(failedCount) of \(lineCount) lines failed: \(numbers)" + (others > 0 ? " and \(others) more" : "")
        + "; see \(output.name) for the reasons")
  }

  private func count(_ index: Int, isGood: Bool) {
    lineCount += 1
    if isGood { return }
    failedCount += 1
    if failedLines.count < 20 { failedLines.append(index) }
  }
}
