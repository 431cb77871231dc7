// SessionEvaluation.swift -- the work that a session hands to the compute thread: one chunk of tokens through the model.

import XverseCore
import XverseModels
import XverseTensors

/// Rows of lm_head's output that scoring holds at a time: 100,000 logits each.
private let scoredRowsPerProduct = 64

/// Evaluates one chunk and computes what is asked of it.
///
/// Threads: the session fills it in and performs it; nothing is touched from two sides at a time.
final class SessionEvaluation: ComputeWork {
  /// What an evaluation is for.
  enum Purpose {
    /// Keys and values only: a chunk that another follows.
    case cacheOnly
    /// The logits after the last token, into `logits`.
    case logits
    /// The logits after every token, `[tokens.count, vocabularySize]`.
    case everyLogits(UnsafeMutablePointer<Float>)
    /// ln p of `targets`, the tokens that follow each position, into `logprobs`; the last chunk also leaves its logits.
    case score(targets: UnsafeBufferPointer<Int32>, logprobs: UnsafeMutablePointer<Float>, isLast: Bool)
    /// The final hidden states, which `pool` takes up; the last chunk also leaves its logits.
    case embedding(StatePool, isLast: Bool)
  }

  var tokens = UnsafeBufferPointer<Int32>(start: nil, count: 0)
  var sequenceLength = 0
  var purpose = Purpose.logits
  var cancellation: Cancellation?

  /// Holds the chunk during a pass; its memory is used again by the next.
  private var batch = TokenBatch()
  private var error: XverseError?
  private let ticket = ComputeTicket()
  private let model: XverseModel
  private let cache: KVCache
  private let runtime: Runtime
  /// `[vocabularySize]`; written only when everything else succeeded.
  private let logits: UnsafeMutableBufferPointer<Float>

  init(
    model: XverseModel, cache: KVCache, runtime: Runtime, logits: UnsafeMutableBufferPointer<Float>
  ) {
    self.model = model
    self.cache = cache
    self.runtime = runtime
    self.logits = logits
  }

  /// Nanoseconds that the last chunk waited for its turn.
  var queueTime: Int64 { ticket.queueTime }

  /// Evaluates the chunk on the runtime's compute thread.
  ///
  /// - Throws: What the model throws; the cache is then as long as before.
  func perform() throws(XverseError) {
    runtime.computeThread.perform(self, with: ticket)
    cancellation = nil
    if let error { throw error }
  }

  func run() {
    let length = cache.length
    error = nil
    batch.append(tokens, to: cache, sequenceLength: sequenceLength, outputs: outputs)
    defer { batch.removeAll() }
    do throws(XverseError) {
      let states = try model.forward(
        batch, kernels: runtime.kernels, arena: runtime.arena, cancellation: cancellation)
      switch purpose {
      case .cacheOnly: break
      case .logits: try keepLogits(of: states)
      case .everyLogits(let rows):
        try model.logits(
          into: Matrix(data: rows, rows: states.rows, columns: logits.count), of: states, kernels: runtime.kernels,
          arena: runtime.arena, cancellation: cancellation)
      case .score(let targets, let logprobs, let isLast): try score(states, targets, logprobs, isLast: isLast)
      case .embedding(let pool, let isLast):
        if isLast { try keepLogits(of: states.rows(states.rows - 1..<states.rows)) }
        pool.add(states)
      }
    } catch {
      cache.truncate(to: length)
      self.error = error
    }
    runtime.noteArenaSize()
  }

  /// The tokens whose final hidden states are needed.
  private var outputs: Range<Int> {
    switch purpose {
    case .cacheOnly: tokens.count..<tokens.count
    case .logits: tokens.count - 1..<tokens.count
    case .everyLogits, .score: 0..<tokens.count
    case .embedding(let pool, let isLast): pool.wanted(of: tokens.count, isLast: isLast)
    }
  }

  private func keepLogits(of state: Matrix) throws(XverseError) {
    let row = try runtime.arena.matrix(rows: 1, columns: logits.count)
    try model.logits(
      into: row, of: state, kernels: runtime.kernels, arena: runtime.arena, cancellation: cancellation)
    logits.baseAddress?.update(from: row.data, count: logits.count)
  }

  private func score(
    _ states: Matrix, _ targets: UnsafeBufferPointer<Int32>, _ logprobs: UnsafeMutablePointer<Float>, isLast: Bool
  ) throws(XverseError) {
    let rowCount = min(scoredRowsPerProduct, states.rows)
    let room = try runtime.arena.matrix(rows: rowCount, columns: logits.count)
    let scratch = try model.logitScratch(rows: rowCount, kernels: runtime.kernels, arena: runtime.arena)
    var row = 0
    while row < states.rows {
      let end = min(states.rows, row + scoredRowsPerProduct)
      let product = room.rows(0..<end - row)
      try model.logits(
        into: product, of: states.rows(row..<end), kernels: runtime.kernels, scratch: scratch,
        cancellation: cancellation)
      for i in row..<min(end, targets.count) {
        let start = product.data + (i - row) * product.columns
        let sum = runtime.kernels.logSumExp(UnsafeBufferPointer(start: start, count: product.columns))
        logprobs[i] = Float(Double(start[Int(targets[i])]) - sum)
      }
      if isLast && end == states.rows {
        logits.baseAddress?.update(
          from: product.data + (product.rows - 1) * product.columns, count: logits.count)
      }
      row = end
    }
  }
}
