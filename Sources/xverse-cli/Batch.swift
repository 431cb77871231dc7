// Batch.swift -- what `xverse generate --input` and `xverse score` have in common: a file of lines in, a file of lines out,
// in the same order, with bad lines reported and the others answered.

import CXverse

final class Batch {
  private var input: BatchInput
  private let output: BatchOutput
  private var progress: BatchProgress
  private var lineCount = 0
  /// Numbers of the first lines that failed.
  private var failedLines: [Int] = []
  private var failedCount = 0

  static let options: [OptionSpecification] = [
    .option("input", "FILE", "Answer each line of FILE, a JSON object a line; '-': standard input."),
    .option("output", "FILE", "Write the answers to FILE, a JSON object a line; '-': standard output."),
    .flag("resume", "Go on where an earlier run with the same input and output ended."),
    .flag("force", "Overwrite the output."),
    .flag("progress", "Show progress also when standard error is no terminal."),
  ]

  /// For the help of a command with these options.
  static let details = """
    Both files have a JSON object a line. An answer has "index", the number of its line in the input (the first is 1; blank
    lines count, and have no answer), and the line's "id" or "custom_id". Answers are in the order of the input. In place of
    an answer, a line that is wrong or fails gets {"index": ..., "error": {"status": "XVERSE_E_...", "message": ...}}; the
    exit status is 1 then, and the numbers of these lines are told in the end. A run that was ended in any way can be
    continued with the same command and --resume: the output becomes the same as of one run, if that does not depend on
    random numbers without a seed or on time. Errors are kept, too.
    """

  /// Opens both files and finds where to begin.
  private init(_ arguments: Arguments) throws(ToolError) {
    guard let inputPath = arguments.word("input"), let outputPath = arguments.word("output") else {
      throw .usage("--input and --output need each other")
    }
    let (resumes, overwrites) = (arguments.has("resume"), arguments.has("force"))
    if resumes && overwrites { throw .usage("--resume and --force exclude each other") }
    if resumes && outputPath.text == "-" { throw .usage("--resume needs an output that is a file") }
    input = try BatchInput(path: inputPath)
    output = try BatchOutput(path: outputPath, input: input.status(), mayHaveContent: resumes || overwrites)
    let isShown = StandardError.isTerminal || arguments.has("progress")
    // A pipe cannot be read twice, nor even opened twice.
    let isFile = inputPath.text == "-" ? false : try input.isFile()
    let total = isShown && isFile ? try BatchInput.countLines(path: inputPath) : nil
    progress = BatchProgress(isShown: isShown, total: total)
    if resumes { try resume() } else { try output.truncate(to: 0) }
  }

  private func resume() throws(ToolError) {
    try output.resume(after: &input) { line, isGood in
      count(line.index, isGood: isGood)
      progress.keepLine()
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
      batch.progress.end()
      throw error
    }
    batch.progress.end()
    if let note { StandardError.write(note + "\n") }
    try batch.checkFailures()
  }

  /// The next line to answer; nil when there are no more.
  func nextLine() throws(ToolError) -> BatchLine? { try input.next() }

  /// Writes the answer to the line after the one that was written last.
  func write(_ line: BatchLine, _ outcome: Result<[(key: String, value: JSON)], ToolError>) throws(ToolError) {
    try output.write(line, outcome)
    if case .success = outcome { count(line.index, isGood: true) } else { count(line.index, isGood: false) }
    progress.finishLine()
    progress.show()
  }

  /// Whether `nextLine` returns without waiting for somebody to write the line.
  var hasLine: Bool { input.isReady }

  func add(tokens: Int) { progress.add(tokens: tokens) }

  func showProgress() { progress.show() }

  private func checkFailures() throws(ToolError) {
    if failedCount == 0 { return }
    let numbers = failedLines.map(String.init).joined(separator: ", ")
    let others = failedCount - failedLines.count
    throw .failure(
      "\(failedCount) of \(lineCount) lines failed: \(numbers)" + (others > 0 ? " and \(others) more" : "")
        + "; \(output.name) tells why")
  }

  private func count(_ index: Int, isGood: Bool) {
    lineCount += 1
    if isGood { return }
    failedCount += 1
    if failedLines.count < 20 { failedLines.append(index) }
  }
}
