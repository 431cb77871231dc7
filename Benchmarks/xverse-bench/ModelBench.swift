// ModelBench.swift -- one model: how long until it answers, how much memory it takes, how fast each kind of pass is.

import XverseCore
import XverseFormats
import XverseLoading
import XverseMeasurement
import XverseModels
import XverseRuntime
import XverseTensors

/// Measures the model at `path`.
struct ModelBench {
  let path: String
  let options: BenchOptions
  let runtime: Runtime
  let probes: MachineProbes

  private static let promptLengths = [128, 512]
  private static let decodedTokens = 64
  /// Fewer where a token takes longer.
  private static let deepTokens = 16
  private static let batchSteps = 8
  private static let batchSizes = [1, 4, 8, 16]
  /// The question before the first token.
  private static let questionLength = 16

  func run() throws(XverseError) -> ModelReport {
    var report = ModelReport()
    if options.parts.contains(.load) { (report.load, report.firstToken) = try measureLoading() }
    Machine.resetPeak()
    let loaded = try load()
    report.describe(loaded)
    let session = try Session(loaded, runtime, cacheElement: options.cacheElement)
    guard let model = loaded.model else { throw .misuse("model '\(loaded.name)' has no weights") }
    let layout = KVLayout(model.configuration, options.cacheElement)
    let workload = Workload(model, cacheBytesPerPosition: layout.bytesPerPosition)
    report.dtype = workload.dtype
    if options.parts.contains(.depth) { try measureDepth(session, workload, &report) }
    if options.parts.contains(.prefill) { try measurePrefill(session, workload, &report) }
    if options.parts.contains(.decode) { try measureDecode(session, workload, &report) }
    if options.parts.contains(.batch) { try measureBatches(model, workload, &report) }
    if options.parts.contains(.scheduler) { try measureScheduler(loaded, workload, &report) }
    if options.parts.contains(.matrices) { try measureMatrices(workload, &report) }
    return report
  }

  private func load() throws(XverseError) -> LoadedModel {
    try LoadedModel(.path(FilePath(path)), options: ModelOptions(), runtime.context())
  }

  /// Seconds from the path to a model, and to the logits after a short question; the files are in the page cache.
  private func measureLoading() throws(XverseError) -> (load: Samples, firstToken: Samples) {
    var (load, firstToken) = (Samples(), Samples())
    for repetition in 0...options.repeats {
      let start = MonotonicClock.now
      let model = try self.load()
      let loaded = MonotonicClock.now
      try evaluate(Self.questionLength, in: Session(model, runtime, cacheElement: options.cacheElement))
      if repetition == 0 { continue }
      load.append(1e-9 * Double(loaded - start))
      firstToken.append(1e-9 * Double(MonotonicClock.now - start))
    }
    return (load, firstToken)
  }

  /// Memory with a long context, and decoding there.
  private func measureDepth(
    _ session: Session, _ workload: Workload, _ report: inout ModelReport
  ) throws(XverseError) {
    let steps = min(Self.deepTokens, session.context - 1)
    let depth = min(options.depth, session.context - steps)
    try evaluate(depth, in: session)
    try decode(steps, in: session)
    report.memory = MemoryUse(
      peak: Machine.peakResidentMemory, weights: session.model.weightBytes, cache: session.cacheBytes,
      tokens: session.length)
    report.rows.append(
      try measure("decode \(steps) at \(depth)", .tokens, workload.decode(steps, at: depth), against: [.memory]) {
        () throws(XverseError) in
        session.truncate(to: depth)
        return try seconds { () throws(XverseError) in try decode(steps, in: session) }
      })
  }

  private func measurePrefill(
    _ session: Session, _ workload: Workload, _ report: inout ModelReport
  ) throws(XverseError) {
    for length in Self.promptLengths.map({ min($0, session.context) }) {
      report.rows.append(
        try measure("prefill \(length)", .tokens, workload.prefill(length), against: [.arithmetic(workload.dtype)]) {
          () throws(XverseError) in
          session.truncate(to: 0)
          return try seconds { () throws(XverseError) in try evaluate(length, in: session) }
        })
    }
  }

  private func measureDecode(
    _ session: Session, _ workload: Workload, _ report: inout ModelReport
  ) throws(XverseError) {
    let steps = min(Self.decodedTokens, session.context)
    report.rows.append(
      try measure("decode \(steps)", .tokens, workload.decode(steps), against: [.memory]) { () throws(XverseError) in
        session.truncate(to: 0)
        return try seconds { () throws(XverseError) in try decode(steps, in: session) }
      })
  }

  /// One token a step for each of several sequences, from their beginning or behind so many positions.
  private func measureBatches(
    _ model: XverseModel, _ workload: Workload, _ report: inout ModelReport
  ) throws(XverseError) {
    let configuration = model.configuration
    let steps = min(Self.batchSteps, configuration.maximumPositions)
    let arena = ScratchArena(allocator: runtime.allocator)
    // The last one as deep as the answers of a scheduler are, to compare with.
    let deep = SchedulerBench.promptLength + SchedulerBench.answerLength / 2
    for (size, depth) in Self.batchSizes.map({ ($0, 0) }) + [(SchedulerBench.answers, deep)] {
      var caches: [KVCache] = []
      for _ in 0..<size {
        let cache = try KVCache(
          KVLayout(configuration, options.cacheElement), capacity: depth + steps, source: runtime.kvBlocks,
          allocator: runtime.allocator)
        try cache.reserve(depth + steps)
        cache.advance(by: depth)
        // Written, or all of it would be one page of zeros.
        for block in cache.blocks(positions: depth) {
          block.base.initializeMemory(as: UInt8.self, repeating: 0x3C, count: block.byteCount)
        }
        caches.append(cache)
      }
      let tokens = ids(size, of: configuration.vocabularySize)
      report.rows.append(
        try measure(
          "batch of \(size)" + (depth > 0 ? " at \(depth)" : ""), .tokens,
          workload.decode(steps, at: depth, sequences: size),
          against: [.memory, .arithmetic(workload.dtype)]
        ) { () throws(XverseError) in
          for cache in caches { cache.truncate(to: depth) }
          return try compute { () throws(XverseError) in
            try seconds { () throws(XverseError) in
              for _ in 0..<steps { try step(tokens, model, caches, arena) }
            }
          }
        })
    }
  }

  /// Answers that grow together, and all of their work; the same one after the other is measured once.
  private func measureScheduler(
    _ model: LoadedModel, _ workload: Workload, _ report: inout ModelReport
  ) throws(XverseError) {
    typealias Bench = SchedulerBench
    let bench = Bench(model: model, runtime: runtime, cacheElement: options.cacheElement)
    let depth = Bench.promptLength
    let limits = [MachineLimit.memory, .arithmetic(workload.dtype)]
    var growing = Row(name: "\(Bench.answers) answers grow", unit: .tokens, limits: limits)
    var all = Row(name: "\(Bench.answers) answers", unit: .tokens, limits: [])
    var single = Row(name: "one after the other", unit: .tokens, limits: [])
    var stretch = Row(name: "1500 tokens join", unit: .gaps, limits: [])
    let tokens = Double(Bench.answers * (Bench.promptLength + Bench.answerLength))
    for repetition in 0..<options.repeats {
      let run = try bench.run()
      let work = workload.decode(run.grownTokens / Bench.answers, at: depth, sequences: Bench.answers)
      let shares = limits.map { (limit) in
        (limit == .memory ? work.bytes : work.operations) / run.growing / probes.measure(limit)
      }
      growing.append(rate: Double(run.grownTokens) / run.growing, share: shares.max() ?? .nan)
      all.append(rate: tokens / run.total, share: .nan)
      stretch.append(rate: try bench.stretch(beside: Bench.answers - 1), share: .nan)
      if repetition == 0 { single.append(rate: tokens / (try bench.runOneByOne()), share: .nan) }
    }
    report.rows += [growing, all, single, stretch]
  }

  private func step(
    _ tokens: [Int32], _ model: XverseModel, _ caches: [KVCache], _ arena: ScratchArena
  ) throws(XverseError) {
    let states = try tokens.withUnsafeBufferPointer { (tokens) throws(XverseError) in
      var batch = TokenBatch()
      for (index, cache) in caches.enumerated() {
        batch.append(UnsafeBufferPointer(rebasing: tokens[index..<index + 1]), to: cache)
      }
      return try model.forward(batch, kernels: runtime.kernels, arena: arena, cancellation: nil)
    }
    let logits = try arena.matrix(rows: states.rows, columns: model.configuration.vocabularySize)
    try model.logits(into: logits, of: states, kernels: runtime.kernels, arena: arena, cancellation: nil)
  }

  /// The matrix products of all layers and nothing else.
  private func measureMatrices(_ workload: Workload, _ report: inout ModelReport) throws(XverseError) {
    let arena = ScratchArena(allocator: runtime.allocator)
    for tokens in [1, Self.promptLengths.max() ?? 1] {
      let sweep = try MatrixSweep(workload.products, tokens: tokens, kernels: runtime.kernels, arena: arena)
      let limit = tokens == 1 ? MachineLimit.memory : .arithmetic(workload.dtype)
      report.rows.append(
        try measure(
          "matrices alone, \(tokens)", tokens == 1 ? .gigabytes : .operations, workload.matrices(tokens: tokens),
          against: [limit]
        ) { () throws(XverseError) in
          try compute { () throws(XverseError) in try seconds(sweep.run) }
        })
      arena.reset()
    }
  }

  // MARK: Measuring

  /// Runs `run`, which returns the seconds it took, again and again, each time followed by probes of what bounds it.
  private func measure(
    _ name: String, _ unit: Row.Unit, _ work: Work, against limits: [MachineLimit],
    _ run: () throws(XverseError) -> Double
  ) throws(XverseError) -> Row {
    var row = Row(name: name, unit: unit, limits: limits)
    for _ in 0..<options.repeats {
      let seconds = try run()
      let shares = limits.map { (limit) in
        (limit == .memory ? work.bytes : work.operations) / seconds / probes.measure(limit)
      }
      row.append(rate: work.amount / seconds, share: shares.max() ?? .nan)
    }
    return row
  }

  private func evaluate(_ count: Int, in session: Session) throws(XverseError) {
    try evaluate(ids(count, of: session.model.configuration.vocabularySize), in: session)
  }

  private func decode(_ count: Int, in session: Session) throws(XverseError) {
    for id in ids(count, of: session.model.configuration.vocabularySize) { try evaluate([id], in: session) }
  }

  private func evaluate(_ tokens: [Int32], in session: Session) throws(XverseError) {
    try tokens.withUnsafeBufferPointer { (tokens) throws(XverseError) in try session.evaluate(tokens) }
  }

  /// Ids spread over the vocabulary: which ones has no influence on the speed.
  private func ids(_ count: Int, of vocabularySize: Int) -> [Int32] {
    (0..<count).map { Int32(($0 * 7919 + 13) % vocabularySize) }
  }

  /// Runs `body` on the compute thread.
  private func compute<Value>(_ body: () throws(XverseError) -> Value) throws(XverseError) -> Value {
    var result: Result<Value, XverseError>?
    runtime.onComputeThread {
      do throws(XverseError) {
        result = .success(try body())
      } catch {
        result = .failure(error)
      }
    }
    guard let result else { throw XverseError(.internal, "the compute thread did not run the work") }
    return try result.get()
  }
}
