// BenchCommand.swift -- `xverse bench`: how fast this model runs here, and how much of the machine that is.
//
// The speed of shared machines drifts, so the two probes of the machine stand before, between and after the runs of the
// model, and each run is held against its neighbours.

import CMachineLimits
import CXverse
import Glibc
import XverseMeasurement

enum BenchCommand: Command {
  static let specification = CommandSpecification(
    "bench",
    summary: "Measure speed and memory, and compare with the limits of the machine.",
    usages: ["MODEL [options]"],
    details: """
      Evaluates a prompt and decodes tokens several times. Between these runs it measures the memory's read bandwidth \
      and the speed of OpenBLAS. Decode is bound by the memory, prefill by the arithmetic; the last column shows what \
      share of each limit was reached.
      """,
    examples: [
      Example("Measure a model.", "xverse bench XVERSE-7B-Chat"),
      Example(
        "A quick look, for a script.",
        "xverse bench XVERSE-7B-Chat --prompt-tokens 64 --repeats 1 --json"),
    ],
    operands: [.model],
    groups: [
      OptionGroup(
        "Measurement",
        [
          .number(
            "prompt-tokens", "TOKENS", promptRange, default: "512, or less where the context is shorter",
            "Tokens in the prompt."),
          .number("decode-tokens", "TOKENS", decodeRange, default: "64", "Tokens to decode."),
          .number("depth", "TOKENS", depthRange, default: "0", "Tokens in the session before the decoded ones."),
          .number("repeats", "RUNS", repeatRange, default: "5", "Runs, of which the median is reported."),
        ]), Session.options,
    ] + Model.options + [OptionGroup(OptionGroup.output, [OptionGroup.json, OptionGroup.quiet])])

  private static let promptRange = 1...10_000_000
  private static let decodeRange = 1...1_000_000
  private static let depthRange = 0...10_000_000
  private static let repeatRange = 1...1000

  static func run(_ arguments: Arguments) throws(ToolError) {
    let repeats = try arguments.integer("repeats", in: repeatRange) ?? 5
    let decodeTokens = try arguments.integer("decode-tokens", in: decodeRange) ?? 64
    let promptTokens = try arguments.integer("prompt-tokens", in: promptRange)
    let depth = try arguments.integer("depth", in: depthRange) ?? 0
    let threads = try arguments.integer("threads", in: 1...4096) ?? Machine.processorCount
    try Session.check(arguments)
    try Interrupt.install()
    let start = Machine.now
    let model = try Model(arguments, threads: threads, evaluatesAll: true)
    let loadSeconds = Machine.now - start
    let info = try model.info()
    var bench = Bench(
      session: try Session(model, arguments), threads: threads, vocabularySize: Int(info.n_vocab),
      promptTokens: promptTokens ?? min(512, max(1, Int(info.n_ctx_train) - decodeTokens)),
      decodeTokens: decodeTokens, depth: depth)
    try bench.warmUp()
    let memory = (peak: Machine.peakResidentMemory, anonymous: Machine.anonymousMemory)
    try bench.measure(repeats: repeats, Progress(arguments))
    let report = BenchReport(
      bench: bench, work: try workload(info, arguments), info: info,
      build: try Library.buildInfo(), loadSeconds: loadSeconds, peakMemory: memory.peak,
      anonymousMemory: memory.anonymous)
    try StandardOutput.write(arguments.has("json") ? report.json.text + "\n" : report.table)
  }

  private static func workload(_ info: xverse_model_info, _ arguments: Arguments) throws(ToolError) -> Workload {
    let path = arguments.operands[0].path
    var estimate = xverse_memory_estimate()
    estimate.size = UInt32(MemoryLayout<xverse_memory_estimate>.size)
    let (model, session) = (try LibraryOptions(.model, from: arguments), try LibraryOptions(.session, from: arguments))
    try withExtendedLifetime((model, session)) { () throws(ToolError) in
      try Library.check(xverse_model_estimate(path, model.handle, session.handle, &estimate))
    }
    return Workload(
      info, isTied: try Library.inspect(path)["tie_word_embeddings"].boolValue ?? false,
      cacheBytesPerPosition: Double(estimate.kv_per_token))
  }
}

/// The runs and what they took.
struct Bench {
  let session: Session
  let threads: Int
  let vocabularySize: Int
  let promptTokens: Int
  let decodeTokens: Int
  /// Tokens in the session before the decoded ones.
  let depth: Int

  /// Seconds of a whole prompt, and of all decoded tokens.
  private(set) var prefill = Samples()
  private(set) var decode = Samples()
  /// Bytes and floating-point operations a second.
  private(set) var bandwidth = Samples()
  private(set) var sgemm = Samples()

  init(session: Session, threads: Int, vocabularySize: Int, promptTokens: Int, decodeTokens: Int, depth: Int) {
    self.session = session
    self.threads = threads
    self.vocabularySize = vocabularySize
    self.promptTokens = promptTokens
    self.decodeTokens = decodeTokens
    self.depth = depth
  }

  /// Brings weights, cache and work memory into memory, outside the measurements.
  func warmUp() throws(ToolError) {
    try runPrefill()
    try session.truncate(0)
    try session.evaluate(tokens(at: 0, count: depth + decodeTokens))
  }

  mutating func measure(repeats: Int, _ progress: Progress) throws(ToolError) {
    var progress = progress
    defer { progress.clear() }
    progress.report(Progress.State(phase: "measure", unit: "runs", done: 0, total: Int64(repeats)))
    probe()
    for repetition in 1...repeats {
      prefill.append(try seconds(runPrefill))
      try session.truncate(0)
      if depth > 0 { try session.evaluate(tokens(at: 0, count: depth)) }
      decode.append(try seconds(runDecode))
      probe()
      progress.report(
        Progress.State(phase: "measure", unit: "runs", done: Int64(repetition), total: Int64(repeats)))
      try Interrupt.check()
    }
  }

  private func runPrefill() throws(ToolError) {
    try session.truncate(0)
    try session.evaluate(tokens(at: 0, count: promptTokens))
  }

  private func runDecode() throws(ToolError) {
    for position in depth..<depth + decodeTokens {
      try session.evaluate(tokens(at: position, count: 1))
    }
  }

  private mutating func probe() {
    let bytes = min(2 << 30, Machine.freeMemory / 2)
    bandwidth.append(ml_read_bandwidth(bytes, Int32(threads), 3))
    sgemm.append(ml_sgemm_peak(Int32(threads), 3))
  }

  /// Ids spread over the vocabulary: which ones has no influence on the speed.
  private func tokens(at position: Int, count: Int) -> [Int32] {
    (position..<position + count).map { Int32(truncatingIfNeeded: ($0 &* 7919 &+ 13) % vocabularySize) }
  }
}
